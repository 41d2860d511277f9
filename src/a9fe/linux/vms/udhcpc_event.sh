#!/bin/busybox sh
# Called by udhcpc at each event. Applies option 121, or Microsoft's 249, which has the same format;
# if either is there, the router option is ignored (RFC 3442).
B=/bin/busybox
[ -x $B ] || B=busybox

route() { # DESTINATION ROUTER; router 0.0.0.0 means on-link
	if [ "$2" = 0.0.0.0 ]; then
		$B ip route add "$1" dev "$interface"
	else
		$B ip route add "$1" via "$2" dev "$interface"
	fi
}

lease() {
	$B ip addr flush dev "$interface"
	$B ip addr add "$ip/$mask" dev "$interface"
	[ -z "$mtu" ] || $B ip link set "$interface" mtu "$mtu"
	set -- ${staticroutes:-$msstaticroutes}
	[ $# -gt 0 ] || set -- ${router:+0.0.0.0/0 ${router%% *}}
	while [ $# -ge 2 ]; do # routes to a router come after the route that leads to it
		route "$1" "$2"
		shift 2
	done
	: >/etc/resolv.conf
	for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done
}

case $1 in
deconfig)
	$B ip addr flush dev "$interface"
	$B ip link set "$interface" up
	;;
bound | renew) lease ;;
esac
exit 0
