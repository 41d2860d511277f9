"""Hop 3, request by request: trust, the order of the checks, and the answers.

Each test runs over a fake source and over the real replica.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from a9fe.metadata.instance_view import Settings
from a9fe.metadata_service.expected_instances import EXPECTED_WITHIN
from a9fe.metadata_service.guest_call import path_of
from a9fe.metadata_service.signed_headers import request_id
from a9fe.metadata_service.signed_service import SignedService
from a9fe.model.errors import InvalidInput
from a9fe.model.resources import Instance, Network, Port, Resource, SecurityGroup, Subnet
from a9fe.model.rules.scheduling import timestamp
from a9fe.model.user_data import KnownInstance, loaded
from a9fe.replica import ReplicaUnreadable
from a9fe.server.native.config_drives import StoredSource
from a9fe.store import Store
from a9fe.wire.freshness import Freshness
from a9fe.wire.message import Request
from a9fe.wire.refusals import Refusal, refuse
from a9fe.wire.trusted import sign
from tests.golden.metadata.scenarios import (
    INSTANCE_ID,
    network,
    port,
    several_cards,
    subnet,
    zeros,
)
from tests.kit.databases import DATABASES
from tests.kit.service_world import (
    LOST_AFTER,
    META_DATA,
    NOW,
    OTHER_ID,
    RESOURCES,
    SECRET,
    SYNCED,
    VIEW,
    Asking,
    FakeSource,
    always_certain,
    replica,
    signed,
    signed_service,
    without,
)

NEVER = Freshness(ever_synced=False, synced_now=False, lost_for=float("inf"))


def lost(seconds: float) -> Freshness:
    return Freshness(ever_synced=True, synced_now=False, lost_for=seconds)


class StoreSource(StoredSource):
    """A transaction of the store, which is always certain."""

    def instance(self, id: str) -> KnownInstance | None:
        found = self.get("instance", id)
        return loaded(found) if isinstance(found, Instance) else None

    def freshness(self, now: float) -> Freshness:
        return SYNCED


def test_the_store_gives_the_same_answers(tmp_path: Path):
    groups = {id for port in VIEW.ports for id in port.security_groups}
    known = (*(SecurityGroup(id=id, name=f"group {id}") for id in groups), *RESOURCES)
    store = Store(DATABASES.fresh(tmp_path), lambda: NOW)
    with store.write() as session:
        for kind in (Network, Subnet, SecurityGroup, Instance, Port):
            for resource in known:
                if isinstance(resource, kind):
                    session.insert(resource)
    with store.read() as session:
        stored = Asking(lambda *_: StoreSource(session), resources=known)
        for path in (META_DATA, b"/latest/meta-data/?recursive=true", b"/latest/user-data"):
            answer = stored(signed(path))
            assert answer.status == 200
            assert answer == Asking(FakeSource, resources=known)(signed(path)), path
    store.close()


@pytest.fixture(params=[FakeSource, replica], ids=["fake", "replica"])
def ask(request: pytest.FixtureRequest) -> Asking:
    return Asking(request.param)


def with_value(request: Request, name: bytes, value: bytes) -> Request:
    return replace(
        without(request, name), headers=(*without(request, name).headers, (name, value))
    )


# -- Trust -------------------------------------------------------------------------------


def test_four_headers_of_a_neutron_agent_are_enough(ask: Asking):
    answer = ask(signed())
    assert (answer.status, ask.refused) == (200, [])
    assert dict(answer.headers)[b"content-type"] == b"application/json"
    assert INSTANCE_ID.encode() in answer.body


def test_x_forwarded_for_is_not_needed(ask: Asking):
    assert ask(without(signed(), b"x-forwarded-for")).status == 200


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ([b"x-instance-id"], Refusal.NO_INSTANCE_ID),
        ([b"x-instance-id-signature"], Refusal.NO_SIGNATURE),
        ([b"x-tenant-id"], Refusal.NO_TENANT_ID),
        ([b"x-instance-id", b"x-instance-id-signature", b"x-tenant-id"], Refusal.NO_INSTANCE_ID),
        ([b"x-instance-id-signature", b"x-tenant-id"], Refusal.NO_SIGNATURE),
    ],
)
def test_a_missing_header_is_named_in_novas_order(
    ask: Asking, missing: list[bytes], expected: Refusal
):
    answer = ask(without(signed(), *missing))
    assert (answer.status, ask.refused) == (400, [expected])


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"0" * 64,
        sign(SECRET, OTHER_ID).encode(),
        sign("another secret", INSTANCE_ID).encode(),
        sign(SECRET, INSTANCE_ID).upper().encode(),
        sign(SECRET, INSTANCE_ID).encode()[:-1],
        sign(SECRET, INSTANCE_ID).encode() + b"0",
        b"\xff\xfe",
        "ü".encode(),
    ],
)
def test_a_wrong_signature_is_403(ask: Asking, signature: bytes):
    answer = ask(with_value(signed(), b"x-instance-id-signature", signature))
    assert (answer.status, ask.refused) == (403, [Refusal.BAD_SIGNATURE])
    assert answer.body.startswith(b"Invalid proxy request signature.")
    assert sign(SECRET, INSTANCE_ID).encode() not in answer.body


def test_the_signature_is_checked_before_instance_and_project(ask: Asking):
    request = with_value(signed(instance_id=OTHER_ID, tenant_id="x"), b"x-instance-id", b"\xff")
    assert ask(request).status == 403


@pytest.mark.parametrize(
    ("name", "status"),
    [(b"x-instance-id", 403), (b"x-instance-id-signature", 403), (b"x-tenant-id", 404)],
)
def test_a_repeated_header_is_one_with_commas(ask: Asking, name: bytes, status: int):
    request = signed()
    again = replace(request, headers=(*request.headers, (name, request.values(name)[0])))
    assert ask(again).status == status


def test_another_project_is_404_like_an_unknown_instance(ask: Asking):
    other = ask(signed(tenant_id="another"))
    unknown = ask(signed(instance_id=OTHER_ID))
    assert ask.refused == [Refusal.WRONG_TENANT, Refusal.UNKNOWN_INSTANCE]
    assert other == unknown
    assert other.status == 404


def test_an_instance_never_gets_anothers_documents(ask: Asking):
    other = replace(VIEW.instance, id=OTHER_ID, name="other", user_data=b"other's")
    ask.resources = (*RESOURCES, other)
    assert ask(signed(b"/openstack/latest/user_data")).body == VIEW.instance.user_data
    asked_by_other = signed(b"/openstack/latest/user_data", instance_id=OTHER_ID)
    assert ask(asked_by_other).body == b"other's"


def test_an_empty_secret_is_refused():
    with pytest.raises(InvalidInput, match="metadata_proxy_shared_secret"):
        replace(_service(), secret="")


def _service() -> SignedService:
    return signed_service(
        confirm=always_certain,
        source=FakeSource(RESOURCES, SYNCED),
        settings=Settings,
        now=lambda: NOW,
        random_bytes=zeros,
        source_lost_after=LOST_AFTER,
        refuse=lambda refusal, *_: refuse(refusal),
    )


# -- Certainty ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fresh", "expected"),
    [
        (SYNCED, Refusal.UNKNOWN_INSTANCE),
        (lost(0.5), Refusal.NOT_SYNCED),
        (lost(LOST_AFTER), Refusal.NOT_SYNCED),
        (lost(LOST_AFTER + 1), Refusal.SOURCE_LOST),
        (NEVER, Refusal.NOT_SYNCED),
    ],
)
def test_an_unknown_instance_is_404_only_when_certain(
    ask: Asking, fresh: Freshness, expected: Refusal
):
    ask.fresh = fresh
    answer = ask(signed(instance_id=OTHER_ID))
    assert (answer.status, ask.refused) == (expected.value.status, [expected])
    assert (b"retry-after" in dict(answer.headers)) == (answer.status == 503)


def test_without_confirmation_there_is_no_404(ask: Asking):
    ask.certain = False
    for request in (signed(instance_id=OTHER_ID), with_value(signed(), b"x-tenant-id", b"other")):
        answer = ask(request)
        assert (answer.status, ask.refused.pop()) == (503, Refusal.UNCONFIRMED)
        assert b"retry-after" in dict(answer.headers)


def test_an_instance_that_the_server_has_already_is_served(ask: Asking):
    found = ask.make_source(ask.resources, SYNCED)
    late = ask.make_source(ask.resources[1:], SYNCED)
    assert isinstance(ask.resources[0], Instance)

    class Late:
        """A source that has the instance only at the second look-up."""

        source = late

        def __getattr__(self, name: str) -> object:
            return getattr(self.source, name)

    source = Late()
    ask.make_source = lambda *_: source  # type: ignore[assignment, return-value]
    ask.news = lambda: setattr(source, "source", found)
    assert ask(signed()).status == 200
    assert ask.refused == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Refusal.INSTANCE_EXPECTED),
        ({"updated_at": timestamp(NOW - EXPECTED_WITHIN - 1)}, Refusal.UNKNOWN_INSTANCE),
        ({"project_id": "another"}, Refusal.UNKNOWN_INSTANCE),
        ({"device_owner": "network:dhcp"}, Refusal.UNKNOWN_INSTANCE),
    ],
)
def test_an_instance_that_a_new_port_names_is_expected(
    ask: Asking, changes: dict[str, str], expected: Refusal
):
    new = {"id": OTHER_ID, "device_id": OTHER_ID, "updated_at": timestamp(NOW)}
    port = replace(VIEW.ports[0], **{**new, **changes})
    ask.resources = (*RESOURCES, port)
    answer = ask(signed(instance_id=OTHER_ID))
    assert (answer.status, ask.refused) == (expected.value.status, [expected])


@pytest.mark.parametrize("fresh", [lost(1), lost(1e9)])
def test_a_known_instance_is_served_without_the_server(ask: Asking, fresh: Freshness):
    ask.fresh = fresh
    assert ask(signed()).status == 200


@pytest.mark.parametrize("missing", [*VIEW.networks.values(), *VIEW.subnets.values()])
def test_an_instance_without_its_network_or_subnet_is_503(ask: Asking, missing: Resource):
    ask.resources = tuple(r for r in RESOURCES if r is not missing)
    assert ask(signed()).status == 503
    assert ask.refused == [Refusal.NOT_SYNCED]


def test_an_unreadable_source_is_503():
    class Broken(FakeSource):
        def get(self, kind: str, id: str) -> Resource | None:
            raise ReplicaUnreadable("disk I/O error")

    ask = Asking(Broken)
    assert ask(signed()).status == 503
    assert ask.refused == [Refusal.SOURCE_UNREADABLE]


# -- Documents ---------------------------------------------------------------------------


@pytest.mark.parametrize("target", [b"/", b"/?x=1", b"http://169.254.169.254", b"http://h/"])
def test_the_root_needs_no_signature(ask: Asking, target: bytes):
    answer = ask(Request(method=b"GET", target=target, headers=()))
    assert answer.status == 200
    assert answer.body.startswith(b"1.0\n2007-01-19\n")


@pytest.mark.parametrize(
    "target", [b"/latest", b"/openstack", b"/ec2", b"//x", b"/foo/../", b"", b"*", b"/%2e"]
)
def test_every_other_path_needs_a_signature(ask: Asking, target: bytes):
    assert ask(Request(method=b"GET", target=target, headers=())).status == 400


def test_unknown_query_parameters_are_ignored(ask: Asking):
    assert ask(signed(META_DATA + b"?alt=json&x=/y")) == ask(signed())


def test_an_absolute_target_is_its_path(ask: Asking):
    assert ask(signed(b"HTTP://169.254.169.254" + META_DATA)) == ask(signed())


@pytest.mark.parametrize(
    "target",
    [
        b"/nothing",
        b"//openstack/latest/meta_data.json",
        b"/openstack/latest/meta_data.json/x",
        b"/openstack/latest%2fmeta_data.json",
        b"/\0",
        b"/\xff\xfe",
        b"/%00",
        b"*",
        b"",
        b"/" + b"x" * 8192,
    ],
)
def test_a_missing_path_is_404(ask: Asking, target: bytes):
    assert ask(signed(target)).status == 404
    assert ask.refused == [Refusal.NO_SUCH_PATH]


@pytest.mark.parametrize("target", [b"/", b"/latest/meta-data/", META_DATA])
def test_head_is_answered_as_get(ask: Asking, target: bytes):
    assert ask(signed(target, method=b"HEAD")) == ask(signed(target))


@pytest.mark.parametrize(
    "method", [b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"get", b"X"]
)
@pytest.mark.parametrize("target", [b"/", b"/latest/user-data", META_DATA])
def test_other_methods_are_405_with_allow(ask: Asking, method: bytes, target: bytes):
    answer = ask(signed(target, method=method))
    assert answer.status == 405
    assert dict(answer.headers)[b"allow"] == b"GET, HEAD"
    assert ask.refused == [Refusal.METHOD_NOT_ALLOWED]


def test_another_method_without_signature_reveals_nothing(ask: Asking):
    assert ask(Request(method=b"POST", target=META_DATA, headers=())).status == 400
    assert ask(signed(b"/latest/api/token", method=b"PUT")).status == 404


def test_user_data_passes_byte_for_byte(ask: Asking):
    data = bytes(range(256)) * 4
    ask.resources = (replace(VIEW.instance, user_data=data), *RESOURCES[1:])
    answer = ask(signed(b"/latest/user-data"))
    assert dict(answer.headers)[b"content-type"] == b"text/plain; charset=UTF-8"
    assert answer.body == data


def test_a_port_of_another_project_is_not_the_instances(ask: Asking):
    foreign = replace(VIEW.ports[0], id=OTHER_ID, project_id="another", created_at="0")
    ask.resources = (*RESOURCES, foreign)
    answer = ask(signed(b"/openstack/latest/network_data.json"))
    assert OTHER_ID.encode() not in answer.body
    assert VIEW.ports[0].id.encode() in answer.body


def test_cards_are_in_the_order_of_their_creation(ask: Asking):
    of = several_cards()
    first, second, third = of.ports
    made = (
        replace(first, created_at="2026-11-22T15:00:02Z"),
        replace(second, created_at="2026-11-22T15:00:01Z"),
        replace(third, created_at="2026-11-22T15:00:02Z"),
    )
    ask.resources = (of.instance, *made, *of.networks.values(), *of.subnets.values())
    body = ask(signed(b"/openstack/latest/network_data.json")).body
    positions = [body.index(card.mac_address.encode()) for card in (second, first, third)]
    assert positions == sorted(positions)


def test_an_address_of_two_ports_changes_nothing(ask: Asking):
    lan = network(9)
    v4 = subnet(9, lan, "10.1.0.0/24")
    twin = port(9, lan, (v4, "10.1.0.7"), device_id=OTHER_ID)
    ask.resources = (*RESOURCES, lan, v4, twin)
    assert ask(signed(b"/latest/meta-data/local-ipv4")).body == b"10.1.0.7"
    assert twin.id.encode() not in ask(signed(b"/openstack/latest/network_data.json")).body


# -- Helpers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a/b?c", "/a/b"),
        (b"/a#b", "/a"),
        (b"http://h/a", "/a"),
        (b"http://h:80", "/"),
        (b"http://h//a", "//a"),
        (b"*", "*"),
        (b"/\xe9", "/\xe9"),
    ],
)
def test_the_path_of_a_target(target: bytes, path: str):
    assert path_of(target) == path


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        ([b"0123456789ab"], "0123456789ab"),
        ([b"a", b"b"], ""),
        ([b"a b"], ""),
        ([b"\xe9"], ""),
        ([b"a" * 64], "a" * 64),
        ([b"a" * 65], ""),
        ([b""], ""),
    ],
)
def test_only_a_plain_request_id_is_repeated(values: list[bytes], expected: str):
    headers = tuple((b"x-a9fe-request-id", value) for value in values)
    assert request_id(Request(method=b"GET", target=b"/", headers=headers)) == expected


def test_a_refusal_carries_the_request_id(ask: Asking):
    answer = ask(signed(b"/nothing", extra=((b"x-a9fe-request-id", b"0123456789ab"),)))
    assert dict(answer.headers)[b"x-a9fe-request-id"] == b"0123456789ab"
    assert b"0123456789ab" in answer.body


def test_instances_without_a_name_or_port_are_served(ask: Asking):
    ask.resources = (Instance(id=OTHER_ID, name=""),)
    assert ask(signed(instance_id=OTHER_ID, tenant_id="")).status == 200


def test_a_port_that_the_hop_before_knows_and_we_do_not_is_confirmed_or_503(ask: Asking):
    """The replicas of two hops differ for a moment; documents would lack the port."""
    known, named = ask.resources, signed(extra=((b"x-a9fe-port-id", VIEW.ports[0].id.encode()),))
    for ours in (RESOURCES[:1], ()):  # without the port; and without the instance
        ask.resources = ours
        assert ask(named).status == 503
    assert set(ask.refused) == {Refusal.NOT_SYNCED}
    ask.resources = known
    assert ask(named).status == 200


def test_no_document_lacks_the_port_that_the_hop_before_names(ask: Asking):
    """Here the port is of another project already, so it is not in the instance's documents."""
    (card,) = VIEW.ports
    others = [resource for resource in RESOURCES if resource != card]
    ask.resources = (*others, replace(card, project_id="another"))
    named = signed(b"/latest/meta-data/mac", extra=((b"x-a9fe-port-id", card.id.encode()),))
    assert (ask(named).status, ask.refused) == (503, [Refusal.NOT_SYNCED])
