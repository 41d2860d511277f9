"""The DHCP agent's plan: DHCP namespaces, dnsmasq's arguments and files, isolated metadata.

May import plan.filters and the modules of plan, but not plan.routers.
"""
