"""Hop 2: says which instance asks, signs that, and forwards to the metadata service.

It looks ports up in the replica, by the network or router and the address that the proxy vouches
for; only the proxy's user and root may connect. It may not read what instances hold, nor guess:
what is not certain is 503. Obeys Neutron's metadata agent contract towards proxy and Nova.
"""
