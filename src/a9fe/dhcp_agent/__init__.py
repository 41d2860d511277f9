"""Process: the DHCP namespaces of a host, the filters of its ports, and isolated metadata.

It may not decide what a network is told: that is plan.dhcp.namespaces. It obeys Neutron's names
(plan.names) and its rules for options 121 and 249, and leaves all in place when it ends.
"""
