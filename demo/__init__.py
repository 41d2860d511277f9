"""`./run demo`: the whole system on show, driven by the command line alone."""
