#!/bin/busybox sh
# The first process of the tiny VM: takes a lease, reads its metadata and prints it on the console,
# each line with the prefix "a9fe-vm:". No `wget -T`: Debian's busybox crashes on it.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null

say() { echo "a9fe-vm: $*"; }
fetch() { wget -q -O - "http://169.254.169.254/$1"; }
uptime_now() { cut -d' ' -f1 /proc/uptime; }

while read -r module; do insmod "/lib/$module.ko"; done </lib/order
say "up after $(uptime_now) s, product $(cat /sys/class/dmi/id/product_name)"
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -n -q -t 20 -T 1 -O staticroutes -O msstaticroutes -s /etc/udhcpc_event.sh >/dev/null
say "dhcp exit $? after $(uptime_now) s"
ip -4 route | while read -r route; do say "route $route"; done
for attempt in 1 2 3 4 5 6 7 8 9 10; do # retry as cloud-init does: metadata may not be ready yet
	id=$(fetch latest/meta-data/instance-id) && [ -n "$id" ] && break
	sleep 1
done
say "/ $(fetch '' | tr '\n' ' ')"
say "instance-id $id"
say "local-ipv4 $(fetch latest/meta-data/local-ipv4)"
say "hostname $(fetch latest/meta-data/hostname)"
say "meta_data.json $(fetch openstack/latest/meta_data.json | tr -d '\n')"
say "user-data $(fetch latest/user-data 2>/dev/null | head -n 1)"
say "done after $(uptime_now) s"
if grep -q a9fe.poweroff /proc/cmdline; then
	echo b >/proc/sysrq-trigger
	reboot -f
fi
exec setsid cttyhack sh
