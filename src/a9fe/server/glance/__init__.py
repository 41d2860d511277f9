"""The part of Glance's image API v2 with which clients record images; it stores no image data."""

from a9fe.server.glance.images import OPERATIONS

__all__ = ["OPERATIONS"]
