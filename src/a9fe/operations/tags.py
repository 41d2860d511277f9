"""Tags of resources: Neutron's standard-attr-tag."""

from a9fe.model.errors import A9feError


class TagNotFound(A9feError):
    """A resource has no such tag."""

    status = 404
    type = "TagNotFound"
