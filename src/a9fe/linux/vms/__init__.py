"""VMs on this host: taps, QEMU, the tiny VM, stand-in guests, and their path to metadata.

May import linux.kernel, linux.processes and linux.dhcp.
"""
