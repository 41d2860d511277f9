"""Process: the router namespaces of a host, and in each the way to the metadata proxy.

It may not decide what a router looks like: that is plan.l3. It obeys Neutron's names
(plan.names) and iptables rules (plan.router), and leaves all in place when it ends.
"""
