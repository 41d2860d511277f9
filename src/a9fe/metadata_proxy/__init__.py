"""Hop 1: listen in every namespace of the host, and add the source of each request to it.

The proxy has no model, no secret and no privileges. It knows the network or router of each
listening socket, and the guest address that the kernel reports. Obeys
docs/contracts/trusted-headers.md and docs/contracts/listener-hand-over.md.
"""
