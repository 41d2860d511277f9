"""`./run demo`: the whole system, driven by the command line alone."""
