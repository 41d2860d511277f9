"""Identity of instances: the signing keys, and the requests that are answered with them."""
