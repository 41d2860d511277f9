"""What a host should look like: namespaces, links, addresses, rules, DHCP, listeners.

Pure: the model in, one comparable `HostPlan` out; and the difference between two of them.
"""
