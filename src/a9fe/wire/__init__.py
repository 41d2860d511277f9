"""What hops share: messages, trusted headers, refusals, limits, queueing, the hand-over. Pure.

The contracts are Neutron's and Nova's (docs/contracts); headers of our own are X-A9fe-*.
"""
