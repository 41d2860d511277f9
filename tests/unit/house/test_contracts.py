"""docs/contracts: each page says what the code does."""

import re
from pathlib import Path

from a9fe.api_client import feed
from a9fe.plan import names
from a9fe.wire import limits_page, statuses_page, trusted
from a9fe.wire.handover import HOLDER_SOCKET, PROXY_SOCKET

PAGES = Path(__file__).parents[3] / "docs" / "contracts"
ID = "0123456789abcdef0123456789abcdef0123"
OF_CODE = {
    "router namespace": names.router_namespace(ID),
    "DHCP namespace": names.dhcp_namespace(ID),
    "bridge of a network": names.bridge(ID),
    "outer end of a pair, or tap of a VM": names.outer_device(ID),
    "uplink to a bridge of the operator": names.uplink(names.bridge(ID)),
    "its other end": names.uplink_peer(names.bridge(ID)),
    "router interface": names.router_device(ID),
    "external gateway of a router": names.gateway_device(ID),
    "DHCP interface": names.dhcp_device(ID),
    "guest namespace": names.guest_namespace(ID),
}


def page(name: str) -> str:
    return (PAGES / name).read_text()


def rows(text: str) -> list[list[str]]:
    """Return the cells of all table rows."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_page_of_trusted_headers_names_every_header_of_the_code_and_no_other():
    of_code = {
        value.decode()
        for name, value in vars(trusted).items()
        if name.isupper() and isinstance(value, bytes) and name != "OUR_PREFIX"
    }
    of_code |= {name.decode() for name in trusted.TRUSTED}
    named = {row[0].lower() for row in rows(page("trusted-headers.md"))} - {"header"}
    assert named == of_code


def test_every_header_of_the_page_is_taken_from_guests():
    for name in {row[0] for row in rows(page("trusted-headers.md"))} - {"header"}:
        assert trusted.is_trusted(name.encode()), name


def test_the_page_of_statuses_is_generated():
    current = page("statuses.md") == statuses_page.markdown()
    assert current, "docs/contracts/statuses.md is not current: ./run docs writes it again"


def test_the_page_of_limits_is_generated():
    current = page("limits.md") == limits_page.markdown()
    assert current, "docs/contracts/limits.md is not current: ./run docs writes it again"


def test_the_page_of_the_feed_names_every_event():
    named = {row[0].strip("`") for row in rows(page("change-feed.md"))} - {"event"}
    assert named == feed.EVENTS


def test_the_page_of_names_has_every_name():
    shown = {row[0]: row[1].strip("`") for row in rows(page("names-on-a-host.md"))}
    del shown["object"]
    made = {
        what: re.sub("<first 11 of [^>]*>", ID[:11], re.sub("<(?!first)[^>]*>", ID, form))
        for what, form in shown.items()
    }
    assert made == OF_CODE


def test_the_page_of_the_hand_over_names_the_sockets():
    assert f"`{HOLDER_SOCKET}`" in page("listener-hand-over.md")
    assert f"`{PROXY_SOCKET}`" in page("listener-hand-over.md")
