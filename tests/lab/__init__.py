"""The kit of the kernel and journey tests: networks, guests, the command line, clients."""
