"""The API's OpenAPI document and its HTML page, made from the rows of all operations."""

from a9fe.server.openapi.handlers import OPERATIONS

__all__ = ["OPERATIONS"]
