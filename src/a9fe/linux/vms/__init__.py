"""VMs on this host: taps, QEMU, the tiny VM, namespace guests, and their path to metadata.

May import linux.kernel, linux.processes and linux.dhcp.
"""
