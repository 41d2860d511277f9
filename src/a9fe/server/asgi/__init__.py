"""The layer between HTTP and the operations: connections, operation rows, the gate, bodies,
transactions, errors.

The handlers of each API import the names below.
"""

from a9fe.server.asgi.api import Api, api_of, caller_of, last_values, query_of, root_of
from a9fe.server.asgi.body import read as read_body
from a9fe.server.asgi.collection_operations import (
    CollectionExamples,
    asked_fields,
    operations_of,
)
from a9fe.server.asgi.collection_schemas import shown as resource_schema
from a9fe.server.asgi.errors import on_error, on_failure
from a9fe.server.asgi.examples import Example, ExampleRequest, Samples, example, filled
from a9fe.server.asgi.faults import COMPUTE, IMAGE, NATIVE, NEUTRON, below
from a9fe.server.asgi.faults import nova as nova_fault
from a9fe.server.asgi.gate import Gate
from a9fe.server.asgi.operation import Access, Body, Operation, OperationTable
from a9fe.server.asgi.operation import Handler as RequestHandler

__all__ = [
    "COMPUTE",
    "IMAGE",
    "NATIVE",
    "NEUTRON",
    "Access",
    "Api",
    "Body",
    "CollectionExamples",
    "Example",
    "ExampleRequest",
    "Gate",
    "Operation",
    "OperationTable",
    "RequestHandler",
    "Samples",
    "api_of",
    "asked_fields",
    "below",
    "caller_of",
    "example",
    "filled",
    "last_values",
    "nova_fault",
    "on_error",
    "on_failure",
    "operations_of",
    "query_of",
    "read_body",
    "resource_schema",
    "root_of",
]
