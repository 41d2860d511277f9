"""Hop 3: answers for the instance that signed headers name, from the trees of `metadata`.

It believes no header before the signature is verified, gives no instance's data to another
project, and says 404 for an unknown instance only when its source is certain. It may not look at
addresses: who asks was decided by the hop before. Spec: Nova's metadata API behind a Neutron
metadata agent (headers, order of the checks, statuses, content types).
"""
