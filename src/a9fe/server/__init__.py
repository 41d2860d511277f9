"""Process: Neutron's API v2.0, our instances, agents' reports, the change feed.

The way of a request: app (Starlette) -> gate (caller and access) -> body and attribute tables
(validation) -> one transaction of the store in a thread -> an operation over the model's rules ->
the attribute tables (answer). It does not touch the kernel: agents do, by following the feed.
Source: OpenStack's Network API v2.0 for /v2.0, Nova's and Glance's for /v2.1 and /image.
"""
