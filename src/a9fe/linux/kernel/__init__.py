"""The kernel's interfaces: system calls, netlink, network namespaces, links, inotify.

Imports no other room of linux.
"""
