"""All access to the kernel: namespaces, links, filters, dnsmasq, sockets, privileges, processes.

Only this package may use netlink, ctypes and subprocesses. It decides nothing: `host` observes our
objects as values of plan.host and applies operations of plan.operations. plan.names has the names
and plan.mark the marks. Namespaces are in /run/netns, as those of `ip netns`.

Add a kind of kernel object in four places: plan.host (its value), plan.operations (its changes),
plan.diff (their order), and `observation` and `host` here.
"""
