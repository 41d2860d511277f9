"""Checks of the options for authentication, at the start of a server. Pure."""

from ipaddress import ip_address

from a9fe.model.errors import InvalidInput

NONE, KEYSTONE = "none", "keystone"


def check_bind_host(auth_strategy: str, bind_host: str) -> None:
    """Raise InvalidInput if a non-loopback address would make every caller admin."""
    if auth_strategy == NONE and not ip_address(bind_host).is_loopback:
        expected = (
            "127.0.0.1 or ::1, because auth_strategy none makes every caller admin"
            " (or auth_strategy token or keystone)"
        )
        raise InvalidInput("bind_host", bind_host, expected)


def check_keystone(auth_strategy: str, keystone_auth_url: str, keystone_password: str) -> None:
    """Raise InvalidInput if auth_strategy is keystone and its URL or password is missing."""
    if auth_strategy != KEYSTONE:
        return
    if not keystone_auth_url:
        expected = "Keystone's URL, such as http://127.0.0.1:5000/v3, as auth_strategy is keystone"
        raise InvalidInput("keystone_auth_url", "", expected)
    if not keystone_password:
        expected = "the password of keystone_username, as auth_strategy is keystone"
        raise InvalidInput("keystone_password", "", expected)
