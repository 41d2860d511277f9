"""The attribute tables of instances in a9fe's own API."""

import base64
from dataclasses import replace

from a9fe.api_tables import converters as to
from a9fe.api_tables.attributes import (
    AnswerContext,
    Attribute,
    AttributeTable,
    computed,
    filtered,
    read_only,
    stored,
)
from a9fe.api_tables.guest_requests import (
    FILES_MAX,
    injected_file,
    keypairs,
    metadata_options,
    shown_file,
)
from a9fe.api_tables.requests import instance_network
from a9fe.model import port_order
from a9fe.model.guest import MetadataOptions
from a9fe.model.resources import Instance


def _user_data(instance: Instance, _: AnswerContext) -> str | None:
    if instance.user_data is None:
        return None
    return base64.b64encode(instance.user_data).decode("ascii")


INSTANCE = AttributeTable(
    kind="instance",
    plural="instances",
    attributes=(
        read_only("id", text=True),
        read_only("number"),
        stored("name", to.one_line(minimum=1), "CUR", default=""),
        stored("project_id", to.header_text(minimum=1), "C"),
        computed("tenant_id", lambda instance, _: instance.project_id),
        Attribute(
            name="user_data",
            show=_user_data,
            field="user_data",
            convert=to.nullable(to.user_data),
            create="member",
            update="member",
            default=None,
        ),
        stored("keypairs", keypairs, default=()),
        stored("metadata", to.string_map, default={}),
        filtered(stored("availability_zone", to.one_line(minimum=1)), "nocase"),
        stored("flavor", to.one_line(), default=""),
        stored("image", to.one_line(), default=""),
        stored("launch_index", to.integer(0, 1_000_000), "C", default=0),
        replace(
            stored("files", to.list_of(injected_file, FILES_MAX), "C", default=()),
            show=lambda instance, _: [shown_file(file) for file in instance.files],
        ),
        replace(read_only("nic_tags"), show=lambda instance, _: port_order.tags(instance)),
        stored("metadata_options", metadata_options, default=MetadataOptions()),
        computed("has_password", lambda instance, _: bool(instance.password)),
        read_only("guest_attributes"),
        read_only("events"),
        read_only("revision_number"),
        read_only("created_at"),
        read_only("updated_at"),
    ),
)

INSTANCE_REQUEST = AttributeTable(
    kind="instance",
    plural="instances",
    attributes=(
        *(a for a in INSTANCE.attributes if a.create),
        stored("host", to.header_text(minimum=1), "c"),
        stored("network", to.string(minimum=1), "C", default=""),
        stored("port_id", to.identifier, "C", default=""),
        stored("networks", to.list_of(instance_network, maximum=64), "C", default=()),
    ),
)
"""What a request for a new instance may give: its attributes, its host and its ports."""
