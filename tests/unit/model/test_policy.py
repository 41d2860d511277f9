"""The policy as tables: resource, action, role, ownership."""

import pytest

from a9fe.api_tables.admin_attributes import ADMIN_ATTRIBUTES
from a9fe.model import policy
from a9fe.model.auth_strategy import check_bind_host, check_keystone
from a9fe.model.compute import Flavor, Image
from a9fe.model.errors import Forbidden, InvalidInput, NotFound
from a9fe.model.policy import Caller
from a9fe.model.resources import (
    Agent,
    Instance,
    Network,
    Port,
    Router,
    SecurityGroup,
    Subnet,
)

ADMIN = Caller(project_id="ops", roles=frozenset({"admin"}), is_admin=True)
MEMBER = Caller(project_id="mine", roles=frozenset({"member"}))
READER = Caller(project_id="mine", roles=frozenset({"reader"}))
NOBODY = Caller(project_id="", roles=frozenset({"member"}))
AGENT = Caller(project_id="", roles=frozenset({"agent"}), host="h1")


def network(project: str, **more: bool) -> Network:
    return Network(id="n", project_id=project, **more)


def subnet(project: str) -> Subnet:
    return Subnet(id="s", network_id="n", cidr="10.1.0.0/24", project_id=project)


def port(project: str, owner: str = "") -> Port:
    mac = "fa:16:3e:00:00:01"
    return Port(id="p", network_id="n", mac_address=mac, project_id=project, device_owner=owner)


MINE, THEIRS = network("mine"), network("theirs")
SHARED, EXTERNAL = network("theirs", shared=True), network("theirs", external=True)
YES, NO, SEEN = "changes", "not found", "forbidden"

# resource, the network it is on, what a member of "mine" gets when it changes it
OWNERSHIP = [
    (MINE, None, YES),
    (THEIRS, None, NO),
    (SHARED, None, SEEN),
    (EXTERNAL, None, SEEN),
    (network(""), None, NO),
    (subnet("mine"), MINE, YES),
    (subnet("theirs"), MINE, YES),
    (subnet("theirs"), SHARED, SEEN),
    (subnet("theirs"), EXTERNAL, NO),
    (subnet("theirs"), THEIRS, NO),
    (port("mine"), SHARED, YES),
    (port("theirs"), MINE, YES),
    (port("theirs"), SHARED, NO),
    (port("theirs"), EXTERNAL, NO),
    (Router(id="r", project_id="mine"), None, YES),
    (Router(id="r", project_id="theirs"), None, NO),
    (SecurityGroup(id="g", project_id="mine"), None, YES),
    (SecurityGroup(id="g", project_id="theirs"), None, NO),
    (Instance(id="i", name="x", project_id="mine"), None, YES),
    (Instance(id="i", name="x", project_id="theirs"), None, NO),
    (Agent(id="a", agent_type="t", binary="b", host="h"), None, NO),
    (Flavor(id="f", name="f"), None, SEEN),
    (Flavor(id="f", name="f", is_public=False), None, NO),
    (Image(id="i", project_id="theirs", visibility="public"), None, SEEN),
    (Image(id="i", project_id="theirs", visibility="private"), None, NO),
]


def outcome(caller: Caller, resource, on) -> str:
    try:
        policy.check_change(caller, resource, on)
    except NotFound:
        return NO
    except Forbidden:
        return SEEN
    return YES


@pytest.mark.parametrize(("resource", "on", "expected"), OWNERSHIP)
def test_ownership(resource, on, expected: str):
    assert outcome(MEMBER, resource, on) == expected
    assert policy.sees(MEMBER, resource, on) == (expected != NO)
    assert outcome(ADMIN, resource, on) == YES


def test_no_project_owns_nothing():
    assert outcome(NOBODY, network(""), None) == NO


# kind, what a body says, may a member create so, may it update so
ATTRIBUTES = [
    ("network", {"name": "x"}, True, True),
    ("network", {"shared": True}, False, False),
    ("network", {"shared": "True"}, False, False),
    ("network", {"shared": False}, True, False),
    ("network", {"router:external": True}, False, False),
    ("network", {"provider:network_type": "vlan"}, False, False),
    ("network", {"provider:segmentation_id": 5}, False, False),
    ("network", {"project_id": "theirs"}, False, False),
    ("network", {"tenant_id": "theirs"}, False, False),
    ("network", {"tenant_id": "mine"}, True, True),
    ("port", {"binding:host_id": "h"}, False, False),
    ("port", {"binding:host_id": ""}, True, False),
    ("port", {"binding:profile": {"a": 1}}, False, False),
    ("port", {"binding:vnic_type": "direct"}, True, True),
    ("port", {"mac_address": "fa:16:3e:00:00:09"}, True, False),
    ("port", {"device_owner": "compute:nova"}, True, True),
    ("port", {"device_owner": "network:router_interface"}, False, False),
    ("port", {"device_owner": "NETWORK:dhcp"}, False, False),
    ("router", {"distributed": True}, False, False),
    ("router", {"ha": False}, True, False),
    ("instance", {"host": "h"}, False, False),
    ("flavor", {"name": "x"}, False, False),
    ("image", {"visibility": "private"}, True, True),
    ("image", {"visibility": "community"}, True, True),
    ("image", {"visibility": "public"}, False, False),
    ("image", {"visibility": ["public"]}, True, True),  # invalid for another reason
    ("router", {"external_gateway_info": {"network_id": "n"}}, True, True),
    ("router", {"external_gateway_info": {"enable_snat": False}}, False, False),
    ("router", {"external_gateway_info": {"external_fixed_ips": []}}, False, False),
    ("router", {"external_gateway_info": None}, True, True),
]


def may_give(caller: Caller, kind: str, body: dict, *, create: bool) -> bool:
    try:
        policy.check_given(caller, kind, ADMIN_ATTRIBUTES[kind], body, create=create)
    except (Forbidden, InvalidInput):  # InvalidInput: for another project
        return False
    return True


@pytest.mark.parametrize(("kind", "body", "create", "update"), ATTRIBUTES)
def test_attributes(kind: str, body: dict, create: bool, update: bool):  # noqa: FBT001 - a table
    assert may_give(MEMBER, kind, body, create=True) is create
    assert may_give(MEMBER, kind, body, create=False) is update
    assert may_give(ADMIN, kind, body, create=True)


ON_NETWORK = [
    ("port", {}, MINE, YES),
    ("port", {"fixed_ips": []}, MINE, YES),
    ("port", {}, SHARED, YES),
    ("port", {"fixed_ips": []}, SHARED, SEEN),
    ("port", {"allowed_address_pairs": []}, SHARED, SEEN),
    ("port", {"port_security_enabled": False}, SHARED, SEEN),
    ("port", {}, EXTERNAL, SEEN),
    ("port", {}, THEIRS, NO),
    ("subnet", {}, MINE, YES),
    ("subnet", {}, SHARED, SEEN),
    ("subnet", {}, THEIRS, NO),
]


@pytest.mark.parametrize(("kind", "given", "on", "expected"), ON_NETWORK)
def test_ports_and_subnets_that_a_member_may_create_on_a_network(
    kind: str, given: dict, on: Network, expected: str
):
    try:
        policy.check_on_network(MEMBER, kind, given, on, create=True)
        found = YES
    except (NotFound, Forbidden) as error:
        found = NO if isinstance(error, NotFound) else SEEN
    assert found == expected
    policy.check_on_network(ADMIN, kind, given, on, create=True)


def test_a_routers_port_keeps_its_router():
    with pytest.raises(Forbidden, match="device_id"):
        policy.check_port_update(port("mine", "network:router_interface"), {"device_id": "r2"})
    policy.check_port_update(port("mine", "compute:nova"), {"device_id": "i2"})


def test_without_authentication_only_loopback_addresses_are_accepted():
    for host in ("127.0.0.1", "127.9.9.9", "::1"):
        check_bind_host("none", host)
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(InvalidInput, match=r"bind_host: .* 127\.0\.0\.1"):
            check_bind_host("none", host)
        check_bind_host("token", host)
        check_bind_host("keystone", host)


def test_an_agents_token_is_of_one_host():
    policy.check_host(AGENT, "h1")
    policy.check_host(policy.trusted("default"), "h9")
    for caller, host in ((AGENT, "h2"), (AGENT, None), (AGENT, []), (MEMBER, "h1"), (ADMIN, "h1")):
        with pytest.raises(Forbidden, match="host"):
            policy.check_host(caller, host)


def test_keystone_needs_an_url_and_a_password():
    check_keystone("none", "", "")
    check_keystone("token", "", "")
    check_keystone("keystone", "http://k:5000/v3", "secret")
    for given, named in ((("", "secret"), "keystone_auth_url"), (("x", ""), "keystone_password")):
        with pytest.raises(InvalidInput, match=f"{named}: .* auth_strategy is keystone"):
            check_keystone("keystone", *given)
