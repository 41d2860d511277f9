"""Bad input: a status, one line with the field, the value and what is expected; no change."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a9fe.api_tables import instance_tables
from a9fe.api_tables import neutron_tables as tables
from a9fe.api_tables.bad_request import BadRequest
from a9fe.server.asgi import body
from tests.kit.server_world import UNKNOWN, World
from tests.kit.strategies import json_values


@pytest.fixture(scope="module")
def world(database_kind: str, tmp_path_factory: pytest.TempPathFactory):
    """One for all: bad input changes nothing."""
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cidr": "10.1.0/24"}, "cidr: '10.1.0/24' is not valid, expected an IPv4 CIDR such as"),
        ({"cidr": "10.1.0.0/24", "ip_version": 6}, "is not valid, expected an IPv6"),
        ({"gateway_ip": "10.2.0.1"}, "gateway_ip: '10.2.0.1' is not valid, expected an ad"),
        ({"gateway_ip": "gw"}, "gateway_ip: 'gw' is not valid"),
        ({"allocation_pools": [{"start": "10.2.0.2", "end": "10.2.0.3"}]}, "allocation_pools: "),
        ({"allocation_pools": [{"start": "10.1.0.2"}]}, "expected an object with start, end"),
        ({"dns_nameservers": [f"1.1.1.{n}" for n in range(6)]}, "dns_nameservers: '6 items'"),
        ({"dns_nameservers": ["fd00::1"]}, "dns_nameservers: 'fd00::1'"),
        ({"host_routes": [{"destination": "x", "nexthop": "10.1.0.1"}]}, "host_routes.dest"),
        ({"enable_dhcp": "maybe"}, "enable_dhcp: 'maybe' is not valid, expected true or false"),
        ({"ip_version": 5}, "ip_version: "),
        ({"ipv6_ra_mode": "slaac"}, "null on an IPv4 subnet"),
        ({"network_id": "nope"}, "network_id: 'nope' is not valid, expected a UUID"),
        ({"name": "x" * 256}, "name: 'xxx"),
        ({"colour": "red"}, "colour: "),
        ({"id": UNKNOWN}, "id: "),
        ({"cidr": None}, "cidr: None"),
        ({"cidr": ["10.1.0.0/24"]}, "cidr: "),
    ],
)  # fmt: skip
def test_a_bad_subnet(world: World, values: dict, message: str):
    network = world.create("network")
    subnet = {"network_id": network["id"], "cidr": "10.1.0.0/24", "ip_version": 4}
    found = world.error("POST", "/v2.0/subnets", {"subnet": {**subnet, **values}}, 400)
    assert found[0] in {"InvalidInput", "OutOfBoundsAllocationPool", "BadRequest"}
    assert message in found[1]
    assert "\n" not in found[1]


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ({"opt_name": "3,10.6.6.6", "opt_value": "x"}, "opt_name"),
        ({"opt_name": "tag:other", "opt_value": "x"}, "opt_name"),
        ({"opt_name": "vendor:x", "opt_value": "x"}, "opt_name"),
        ({"opt_name": "67", "opt_value": "a\nb"}, "opt_value"),
        ({"opt_name": "67", "opt_value": 'a"b'}, "opt_value"),
        ({"opt_name": "67", "opt_value": "a #b"}, "opt_value"),
        ({"opt_name": "67", "opt_value": "a\\b"}, "opt_value"),
        ({"opt_name": "67", "opt_value": "caf\u00e9"}, "opt_value"),
        ({"opt_name": "client-id", "opt_value": " 01:02"}, "opt_value"),
    ],
)
def test_an_option_that_dnsmasq_would_read_otherwise(world: World, option: dict, named: str):
    network = world.create("network")
    port = {"network_id": network["id"], "extra_dhcp_opts": [option]}
    found = world.error("POST", "/v2.0/ports", {"port": port}, 400)
    assert f"extra_dhcp_opts.{named}: " in found[1]
    assert "\n" not in found[1]


BROKEN = ("a\nX-Tenant-ID: b", "a\rb", "a\n", "a\x7f", "a\u2028b")
NOT_ASCII = ("\u00e9", "a\u200b", " a", "a ")
HEADERS = {
    "/v2.0/ports": ("device_id", "binding:host_id", "project_id"),
    "/v2.0/networks": ("project_id",),
    "/a9fe/v1/instances": ("project_id", "host"),
    "/a9fe/v1/agents/report": ("host", "binary", "agent_type"),
    "/a9fe/v1/tokens": ("host", "project_id"),
}
LINES = {
    "/v2.0/ports": ("name", "device_owner"),
    "/v2.0/networks": ("name",),
    "/v2.0/routers": ("name",),
    "/v2.0/security-groups": ("name",),
    "/a9fe/v1/instances": ("name", "availability_zone", "image", "flavor"),
    "/a9fe/v1/images": ("name",),
}


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        (path, field, value)
        for table, values in ((HEADERS, BROKEN + NOT_ASCII), (LINES, BROKEN))
        for path, fields in table.items()
        for field in fields
        for value in values
    ],
)
def test_text_that_would_break_a_header_or_a_line_is_refused(
    world: World, path: str, field: str, value: str
):
    """It would end in a header, or as one line of many."""
    given: dict[str, object] = {"name": "web1", field: value}
    if path == "/v2.0/ports":
        given["network_id"] = UNKNOWN
    kind = path.rpartition("/")[2].removesuffix("s").replace("-", "_")
    report = {"agent_type": "DHCP agent", "binary": "x", "host": "h1", field: value}
    token = {field: value}
    body = report if kind == "report" else {kind: token if kind == "token" else given}
    message = world.error("POST", path, body, 400)[1]
    assert message.startswith(f"{field}: ")
    assert "expected" in message
    assert "\n" not in message


@pytest.mark.parametrize("missing", ["network_id", "cidr", "ip_version"])
def test_a_subnet_without_what_it_needs(world: World, missing: str):
    network = world.create("network")
    subnet = {"network_id": network["id"], "cidr": "10.1.0.0/24", "ip_version": 4}
    del subnet[missing]
    message = world.error("POST", "/v2.0/subnets", {"subnet": subnet}, 400)[1]
    assert f"{missing}: None is not valid, expected a" in message


@pytest.mark.parametrize(
    ("values", "status", "kind"),
    [
        ({"fixed_ips": [{"ip_address": "10.2.0.5"}]}, 400, "InvalidInput"),
        ({"fixed_ips": [{"ip_address": "10.1.0.255"}]}, 400, "InvalidInput"),
        ({"fixed_ips": [{"ip_address": "10.1.0.2"}]}, 409, "IpAddressAlreadyAllocated"),
        ({"fixed_ips": [{"ip_address": "10.1.0.3"}] * 2}, 409, "IpAddressAlreadyAllocated"),
        ({"fixed_ips": [{"subnet_id": UNKNOWN}]}, 400, "InvalidInput"),
        ({"fixed_ips": [{}]}, 400, "InvalidInput"),
        ({"fixed_ips": None}, 400, "InvalidInput"),
        ({"fixed_ips": "10.1.0.5"}, 400, "InvalidInput"),
        ({"mac_address": "fa:16:3e:00:00:01"}, 409, "MacAddressInUse"),
        ({"mac_address": "01:00:5e:00:00:01"}, 400, "InvalidInput"),
        ({"network_id": UNKNOWN}, 404, "NetworkNotFound"),
        ({"status": "ACTIVE"}, 400, "InvalidInput"),
        ({"binding:vif_type": "ovs"}, 400, "InvalidInput"),
        ({"security_groups": [UNKNOWN]}, 404, "SecurityGroupNotFound"),
        ({"extra_dhcp_opts": [{"opt_name": "a\nb", "opt_value": "c"}]}, 400, "InvalidInput"),
        ({"extra_dhcp_opts": [{"opt_name": "a", "opt_value": "c\nd"}]}, 400, "InvalidInput"),
    ],
)
def test_a_bad_port(world: World, values: dict, status: int, kind: str):
    network, _ = world.network()
    taken = {"network_id": network["id"], "mac_address": "fa:16:3e:00:00:01"}
    world.create("port", **taken)
    bad = {"port": {"network_id": network["id"], **values}}
    assert world.error("POST", "/v2.0/ports", bad, status)[0] == kind


@pytest.mark.parametrize("plural", ["networks", "subnets", "ports", "routers", "agents"])
@pytest.mark.parametrize("id", [UNKNOWN, "not-a-uuid", "%00", "%ff", "a" * 3000])
def test_unknown_ids(world: World, plural: str, id: str):
    kind = plural.removesuffix("s")
    path = f"/v2.0/{plural}/{id}"
    expected = f"{kind.capitalize()}NotFound"
    assert world.error("GET", path, None, 404)[0] == expected
    assert world.error("PUT", path, {kind: {}}, 404)[0] == expected
    assert world.error("DELETE", path, None, 404)[0] == expected


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nope", 404), ("GET", "/v2.0/nope", 404), ("PATCH", "/v2.0/networks", 405)],
)
def test_unknown_paths_and_methods_are_neutron_errors(
    world: World, method: str, path: str, status: int
):
    assert world.error(method, path, None, status)[0].startswith("HTTP")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"5", 400),
        (b'{"network": []}', 400),
        (b'{"network": {}, "more": 1}', 400),
        (b'{"networks": []}', 400),
        (b'{"networks": {}}', 400),
        (b'{"network": {"name": "\xff"}}', 400),
        (b'{"network": {"name": "\\ud800"}}', 400),
        (b'{"network": {"name": "a\\u0000b"}}', 400),
        (b'{"network": {"mtu": NaN}}', 400),
        (b'{"network": {"mtu": 1e999}}', 400),
        (b'{"network": {"mtu": ' + b"9" * 5000 + b"}}", 400),
        (b'{"network": {"mtu": "' + b"9" * 5000 + b'"}}', 400),
        (b'{"network": {"mtu": 99999999999999999999}}', 400),
        (b'{"network": {"mtu": true}}', 400),
        (b'{"network": {"mtu": 1.5}}', 400),
        (b'{"network": {"shared": {}}}', 400),
        (b'{"network": {"name": null}}', 400),
        (b"[" * 100_000, 400),
        (b'{"network": ' + b'{"a":' * 50 + b"1" + b"}" * 51, 400),
        (b" " * (1024 * 1024 + 1), 413),
    ],
)
def test_a_bad_body(world: World, raw: bytes, status: int):
    before = world.revision()
    answer = world.send("POST", "/v2.0/networks", content=raw)
    assert answer.status_code == status, answer.text
    assert answer.json()["NeutronError"]["message"]
    assert len(answer.json()["NeutronError"]["message"]) < 1000
    assert world.revision() == before


def test_a_body_of_exactly_the_limit_is_read(world: World):
    text = json.dumps({"network": {"name": "a"}}).encode()
    padded = text + b" " * (body.BODY_MAX - len(text))
    assert world.send("POST", "/v2.0/networks", content=padded).status_code == 201


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_refused(raw: bytes):
    with contextlib.suppress(BadRequest):
        body.parse(raw)


@given(data=st.data())
@settings(max_examples=60)
def test_any_value_of_any_attribute_is_taken_or_refused(world: World, data: st.DataObject):

    table = data.draw(
        st.sampled_from(
            [tables.NETWORK, tables.SUBNET, tables.PORT, instance_tables.INSTANCE_REQUEST]
        )
    )
    attribute = data.draw(st.sampled_from(table.attributes))
    networks = world.get("/v2.0/networks?name=n")["networks"] or [
        world.create("network", name="n")
    ]
    network = {"network_id": networks[0]["id"]}
    needed = {
        "subnet": {**network, "cidr": "10.1.0.0/24", "ip_version": 4},
        "port": network,
        "instance": {"name": "n"},
    }
    document = {**needed.get(table.kind, {}), attribute.name: data.draw(json_values)}
    base = "/a9fe/v1" if table.kind == "instance" else "/v2.0"
    answer = world.send("POST", f"{base}/{table.plural}", json={table.kind: document})
    assert 200 <= answer.status_code < 500, answer.text


@pytest.mark.sqlite
def test_a_lost_database_is_503_and_heals(tmp_path: Path):
    world = World(tmp_path)
    world.store.close()
    hidden = tmp_path / "hidden"
    (tmp_path / "a9fe.db").rename(hidden)
    (tmp_path / "a9fe.db").mkdir()
    answer = world.send("GET", "/v2.0/networks")
    assert answer.status_code == 503
    assert answer.json()["NeutronError"]["type"] == "ServiceUnavailable"
    assert answer.headers["retry-after"]
    (tmp_path / "a9fe.db").rmdir()
    hidden.rename(tmp_path / "a9fe.db")
    assert world.get("/v2.0/networks") == {"networks": []}
    world.close()
