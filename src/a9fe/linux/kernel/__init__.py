"""The kernel's interfaces: netlink, namespaces, nftables, iptables, events."""
