"""Hop 1: listens in every namespace of the host, and says from where a request came.

It holds no model, no secret and no privileges: what it knows is which listening socket stands
for which network or router, and the guest address that the kernel reports. Obeys Neutron's header
contract (SPECIFICATION.md, trusted headers) and the hand-over of listeners.
"""
