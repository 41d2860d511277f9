"""Hop 3: answers for the instance that signed headers name, from the trees of `metadata`.

The service trusts no header before its signature is verified, gives no instance's data to another
project, and answers 404 for an unknown instance only if its source is certain. It does not look
at addresses to identify a guest: the hop before has done that. Contract: Nova's metadata API
behind a Neutron metadata agent (headers, order of the checks, statuses, content types).
"""
