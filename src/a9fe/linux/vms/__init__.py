"""VMs on this host: taps, QEMU, the tiny VM, stand-in guests, and their path to metadata."""
