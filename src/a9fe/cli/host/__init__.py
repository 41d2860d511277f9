"""Commands that work on this host: booting VMs, guests, cleaning up, checking readiness."""
