"""Packet filter rules, loaded and read with the programs `nft` and `iptables-restore`.

May import linux.kernel and linux.processes.
"""
