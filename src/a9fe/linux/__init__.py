"""All kernel access: namespaces, links, iptables, dnsmasq, sockets, privileges, processes.

Only here may netlink, ctypes and subprocesses be used. It decides nothing: it observes what is
there, as the values of `plan.host`, and applies the operations of `plan.diff`. It obeys
`plan.names` for what is ours, `ip netns` for where namespaces are kept, and
`wire.message.Listener` for sockets.
"""
