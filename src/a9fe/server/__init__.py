"""Process: Neutron's API v2.0, our instances, agents' reports, the change feed.

The way of a call: app (Starlette) -> body and attribute tables (validation) -> one transaction
of the store in a thread -> an operation over the model's rules -> the attribute tables (answer).
It may not touch the kernel: agents do, by following the feed. Specification: OpenStack's Network
API v2.0 for /v2.0; /a9fe/v1 is ours (docs).
"""
