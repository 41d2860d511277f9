#!/bin/sh
# The first process of a namespace guest: gives it private files, prints "ready", and stays.
# usage: guest_init.sh HOSTNAME UDHCPC-EVENT-SCRIPT   in new mount, UTS and PID namespaces
set -eu
umount --recursive --lazy /run/netns 2>/dev/null || true # else this mount would keep removed namespaces alive
hostname "$1"
event=$(cat "$2")
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock
printf '%s\n' "$event" >/run/udhcpc_event.sh
chmod 755 /run/udhcpc_event.sh

private() { # DIRECTORY: overlay it, so that writes to it stay in this guest
	layer=/run/guest$1
	mkdir -p "$layer/upper" "$layer/work"
	mount -t overlay -o "lowerdir=$1,upperdir=$layer/upper,workdir=$layer/work" overlay "$1" 2>/dev/null ||
		copied "$1"
}

copied() { # DIRECTORY: without stacked overlays, mount a copy; of /var only what clients need
	mkdir -p /run/copy
	mount -t tmpfs -o mode=755 tmpfs /run/copy
	if [ "$1" = /etc ]; then
		cp -a /etc/. /run/copy/
	else
		mkdir -p /run/copy/lib/dhcp /run/copy/lib/dhcpcd /run/copy/lib/cloud /run/copy/log /run/copy/tmp
		ln -s /run /run/copy/run
	fi
	mount --move /run/copy "$1"
}

private /etc
private /var
rm -f /etc/resolv.conf # often a link to the host's
: >/etc/resolv.conf
mount -t sysfs -o ro sysfs /sys
echo ready
exec </dev/null >/dev/null 2>&1
cd /
while :; do
	sleep 3600 &
	wait $! || true
done
