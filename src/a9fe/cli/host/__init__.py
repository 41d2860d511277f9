"""Commands for this host: boot VMs, run guest namespaces, clean up, wait until ready."""
