"""What a host should look like: namespaces, links, addresses, rules, DHCP, listeners.

Pure: `dhcp.namespaces.plan` and `routers.namespaces.plan` make one comparable `HostPlan` from the
model; `diff` makes the operations that turn an observed one into it. Imports only model and wire.
"""
