"""One dnsmasq for each network: its files, its process and its leases.

May import linux.kernel and linux.processes.
"""
