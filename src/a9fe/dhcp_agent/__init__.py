"""Process: the DHCP namespaces of a host, the filters of its ports, and isolated metadata.

A role of host_agent. plan.dhcp decides what a namespace has, by Neutron's names (plan.names) and
its rules for DHCP options 121 and 249. Everything remains in place when the process ends.
"""
