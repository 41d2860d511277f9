"""Process: the router namespaces of a host, and in each the way to the metadata proxy.

It may not decide what a router looks like: that is plan.routers.namespaces. It obeys Neutron's
names (plan.names) and iptables rules (plan.routers.rules), and leaves all in place when it ends.
"""
