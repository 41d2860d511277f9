"""Listening sockets in namespaces, and handing them to the proxy and to the holder."""
