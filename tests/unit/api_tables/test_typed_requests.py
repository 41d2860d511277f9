"""Typed requests: what is given, what a resource gets of it, and documents that are refused."""

import re
from dataclasses import replace

import pytest

from a9fe.api_tables.attributes import check_changeable, read_create, read_update
from a9fe.api_tables.neutron_tables import PORT, SUBNET
from a9fe.api_tables.quota_requests import QuotaChange, read_quota
from a9fe.api_tables.requests import AddressRequest, InterfaceRequest, interface_request
from a9fe.api_tables.tags import TAGS_MAX, read_tags
from a9fe.api_tables.typed_requests import UNSET, applied, created, given, given_fields
from a9fe.model.errors import InvalidInput
from a9fe.model.resources import FixedIp, Port
from a9fe.operations.networks.subnet_allocation import NewSubnet
from a9fe.operations.networks.subnets import SubnetChange
from a9fe.operations.ports.ports import NewPort, PortChange

NETWORK_ID = "0e8b5f4a-3a48-4d0b-9cf8-0d4ad0a1a0b1"
HELD = (FixedIp(subnet_id="s", ip_address="10.1.0.5"),)
OLD = Port(id="p", network_id="n", mac_address="m", name="a", host="h", fixed_ips=HELD)


def test_null_is_given_and_an_absent_attribute_is_not():
    change = read_update(SUBNET, SubnetChange, {"gateway_ip": None})
    assert change.gateway_ip is None
    assert change.name is UNSET
    assert given_fields(change) == {"gateway_ip": None}


def test_unset_is_false_and_falls_back():
    assert not UNSET
    assert given(UNSET, "b") == "b"
    assert given("", "b") == ""


def test_a_change_is_applied_without_the_fields_to_be_resolved():
    wanted = (AddressRequest(ip_address="10.1.0.9"),)
    change = PortChange(name="b", host="", fixed_ips=wanted)
    assert applied(OLD, change) == replace(OLD, name="b", host="")


def test_a_resource_is_created_from_a_request_and_resolved_values():
    new = NewPort(network_id="n", name="a", host="h", fixed_ips=(AddressRequest(subnet_id="s"),))
    made = created(Port, new, id="p", mac_address="m", fixed_ips=HELD, project_id="")
    assert made == replace(OLD)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, "network_id: None is not valid, expected a value, since it is required"),
        ({"network_id": "n"}, "network_id: 'n' is not valid, expected a UUID"),
        ({"network_id": NETWORK_ID, "status": "ACTIVE"}, "this one is read-only here"),
        ({"network_id": NETWORK_ID, "colour": "red"}, "colour: 'unknown attribute' is not valid"),
        ({"project_id": "a", "tenant_id": "b"}, "tenant_id: 'b' is not valid"),
        ("text", "port: 'text' is not valid, expected an object"),
    ],
)
def test_documents_of_new_ports_that_are_refused(document: object, expected: str):
    with pytest.raises(InvalidInput, match=re.escape(expected)):
        read_create(PORT, NewPort, document)


def test_what_only_create_accepts_is_refused_in_a_change():
    with pytest.raises(InvalidInput, match="network_id"):
        check_changeable(PORT, {"network_id": NETWORK_ID})
    with pytest.raises(InvalidInput, match="network_id"):
        read_update(PORT, PortChange, {"network_id": NETWORK_ID})


def test_null_text_is_empty_and_tenant_id_is_project_id():
    document = {"network_id": NETWORK_ID, "ip_version": 4, "cidr": None, "tenant_id": "a"}
    found = read_create(SUBNET, NewSubnet, document)
    assert (found.cidr, found.project_id) == ("", "a")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"quota": {"port": "5"}}, QuotaChange(limits={"port": 5}, force=None)),
        ({"quota": {"port": -1, "force": "False"}}, QuotaChange(limits={"port": -1}, force=False)),
        ({"quota": {"tenant_id": "a", "force": True}}, QuotaChange(limits={}, force=True)),
    ],
)
def test_quotas(document: object, expected: QuotaChange):
    assert read_quota(document) == expected


@pytest.mark.parametrize("quota", [5, {"colour": 1}, {"port": -2}, {"port": 2**31}, {"force": 7}])
def test_quotas_that_are_refused(quota: object):
    with pytest.raises(InvalidInput):
        read_quota({"quota": quota})


def test_tags_up_to_the_bound():
    tags = [str(n) for n in range(TAGS_MAX)]
    assert read_tags({"tags": [*tags, "0"]}) == frozenset(tags)
    with pytest.raises(InvalidInput, match="at most 50"):
        read_tags({"tags": [*tags, "x"]})


def test_a_router_interface_by_subnet_or_port():
    port = InterfaceRequest(port_id=NETWORK_ID)
    assert interface_request({"subnet_id": None, "port_id": NETWORK_ID.upper()}) == port
    with pytest.raises(InvalidInput, match="no attribute but"):
        interface_request({"network_id": NETWORK_ID})
