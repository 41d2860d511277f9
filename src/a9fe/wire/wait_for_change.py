"""Which requests may be answered long after they came: hops keep them apart. Pure."""

PARAMETER = b"wait_for_change"  # of the query, as GCE names it


def may_wait(target: bytes) -> bool:
    """Whether a request target may ask to wait. One that does not have it as it is, may not."""
    return PARAMETER in target
