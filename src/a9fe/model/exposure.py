"""Where a server may listen, by how it knows its callers. Pure."""

from ipaddress import ip_address

from a9fe.model.errors import InvalidInput

NONE = "none"


def check_exposure(auth_strategy: str, bind_host: str) -> None:
    """Raises InvalidInput where other machines would find everyone to be admin."""
    if auth_strategy == NONE and not ip_address(bind_host).is_loopback:
        expected = (
            "127.0.0.1 or ::1, since with auth_strategy none everyone is admin"
            " (or auth_strategy token or keystone)"
        )
        raise InvalidInput("bind_host", bind_host, expected)
