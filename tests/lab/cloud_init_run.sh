#!/bin/sh
# All of cloud-init's stages in a guest, as at a VM's first boot, with a configuration of ours.
# usage: cloud_init_run.sh CLOUD.CFG     with cloud-init on PYTHONPATH; all it says goes to stderr
set -eu
mkdir -p /etc/cloud/cloud.cfg.d /run/home /run/superuser /run/bin
cp "$1" /etc/cloud/cloud.cfg
# The guest has no systemd: reloading networkd is for a VM that has. Root's keys stay in the guest.
printf '#!/bin/sh\nexit 0\n' >/run/bin/systemctl
chmod 755 /run/bin/systemctl
sed -i 's|^root:\([^:]*\):0:0:\([^:]*\):[^:]*:|root:\1:0:0:\2:/run/superuser:|' /etc/passwd
PATH=/run/bin:$PATH
export PATH
for stage in "init --local" "init" "modules --mode=config" "modules --mode=final"; do
	# shellcheck disable=SC2086 - words of a command
	/usr/bin/python3 -m cloudinit.cmd.main $stage >&2
done
