#!/bin/sh
# usage: ec2_machine.sh COMMAND...: run it where the machine's hypervisor says that it is EC2's.
# To be called in a guest: only a mount namespace of the command's own is changed.
set -e
if [ "$1" != --inside ]; then exec unshare --mount --propagation private "$0" --inside "$@"; fi
shift
real=$(mktemp -d /run/sys.XXXXXX)
mount --rbind /sys "$real"
mount -t tmpfs tmpfs /sys
for part in class devices; do
	mkdir "/sys/$part"
	mount --rbind "$real/$part" "/sys/$part"
done
mkdir /sys/hypervisor
echo ec2e1916-9099-7caf-fd21-012345abcdef >/sys/hypervisor/uuid
exec "$@"
