"""Listening sockets in namespaces, and their hand-over to the proxy and the listener holder."""
