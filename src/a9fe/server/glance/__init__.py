"""Glance's image API v2, as far as clients need it to name images; no image has data."""

from a9fe.server.glance.images import OPERATIONS

__all__ = ["OPERATIONS"]
