"""Process: the router namespaces of a host, and in each the listeners of the metadata proxy.

A role of host_agent. plan.routers decides what a namespace has, by Neutron's names (plan.names)
and iptables rules (plan.routers.rules). Everything remains in place when the process ends.
"""
