"""Hop 2: finds the requesting instance, signs its id, and forwards to the metadata service.

The agent looks ports up in its replica, by the network or router and the guest address that the
proxy sends; only the proxy's user and root may connect. It does not read instances. If a miss is
uncertain, it answers 503. Contract: Neutron's metadata agent, towards the proxy and Nova.
"""
