"""Packet filter rules: nftables tables of the host, iptables rules of namespaces.

Read and changed by netlink; the host's tables are loaded as a whole with the program `nft`. May
import linux.kernel and linux.processes.
"""
