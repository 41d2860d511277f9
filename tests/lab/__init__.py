"""Networks, guests, commands and clients for tests that run in a sandbox."""
