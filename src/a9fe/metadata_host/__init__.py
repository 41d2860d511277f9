"""The three hops of a host as calls in one process (the shape "host").

It joins the listeners of hop 1, the look-up of hop 2 and the service of hop 3 over one replica.
No header states an identity between them, so there is no signature and no cloud-wide secret. What
a guest reads is the same as from three processes (docs/contracts/hops.md).
"""
