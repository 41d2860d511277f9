"""What crosses between hops: messages, trusted headers, the signature, refusals, HTTP limits.

Pure. The contracts are Neutron's and Nova's (SPECIFICATION.md names them); ours are X-A9fe-*.
"""
