"""Packet filter rules: nftables tables of the host, iptables rules of namespaces.

Read and changed by netlink; loaded as a whole with the programs `nft` and `iptables-restore`. May
import linux.kernel and linux.processes.
"""
