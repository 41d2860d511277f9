"""The host shape and the split hops give a guest the same answer, byte for byte.

Both run over one replica, joined by calls, so that only what stands between the hops differs: the
headers of the wire contract on one side, typed calls on the other.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.http.report import Report
from a9fe.metadata.imds_tokens import Holder, Tokens
from a9fe.metadata.instance_view import Settings
from a9fe.metadata_agent.agent import MetadataAgent, signer
from a9fe.metadata_agent.port_finder import PortFinder
from a9fe.metadata_host.handler import MetadataHost
from a9fe.metadata_host.proxy_edge import of_proxy
from a9fe.metadata_proxy.proxy import MetadataProxy
from a9fe.metadata_proxy.relay import answer_for_guest
from a9fe.metadata_service.documents import DocumentReader
from a9fe.metadata_service.guest_writes import attributes_enabled
from a9fe.metadata_service.service import Service
from a9fe.metadata_service.signed_service import SignedService
from a9fe.metadata_service.token_gate import TokenGate
from a9fe.metadata_service.waiters import Waiters
from a9fe.model.guest import MetadataOptions
from a9fe.model.resources import FixedIp, Port
from a9fe.replica import Replica
from a9fe.wire.message import Answer, Handler, Headers, Listener, Request
from a9fe.wire.refusals import Refusal
from tests.golden.metadata.scenarios import zeros
from tests.kit.feed_events import feed, plain, snapshot, upsert
from tests.kit.http_world import Tally, turns
from tests.kit.joined_hops import LISTENER, PORT, RESOURCES, VIEW

NOW, SECRET = 1_000_000.0, "s3cret"
SYNCED = 7
NETWORK_ID, MAC = PORT.network_id, PORT.mac_address
ADDRESS = PORT.fixed_ips[0].ip_address
INTERFACE = Port(
    id="interface-1",
    network_id=NETWORK_ID,
    mac_address="fa:16:3e:00:99:01",
    device_id="router-1",
    device_owner="network:router_interface",
    fixed_ips=(FixedIp(subnet_id="s", ip_address="10.1.0.1"),),
)
DHCP = replace(
    INTERFACE,
    id="dhcp-1",
    device_id="dhcp-agent",
    device_owner="network:dhcp",
    host="h1",
    fixed_ips=(FixedIp(subnet_id="s", ip_address="10.1.0.2"),),
)
NO_RECORD = replace(
    PORT,
    id="port-without-record",
    device_id="not-created-yet",
    mac_address="fa:16:3e:00:99:02",
    fixed_ips=(FixedIp(subnet_id="s", ip_address="10.1.0.50"),),
)
LATE = replace(
    NO_RECORD,
    id="late",
    device_id=PORT.device_id,
    mac_address="fa:16:3e:00:99:03",
    fixed_ips=(FixedIp(subnet_id="s", ip_address="10.1.0.60"),),
)
LATE_WITHOUT_RECORD = replace(
    LATE, id="late-2", device_id="x", fixed_ips=(FixedIp(subnet_id="s", ip_address="10.1.0.70"),)
)
OPTIONS = (
    MetadataOptions(http_tokens="optional", http_put_response_hop_limit=3),
    MetadataOptions(http_tokens="required"),
    MetadataOptions(http_tokens="off"),
)
ROUTER = Listener(
    kind="router", id="Router-1", namespace="qrouter", address="0.0.0.0", port=9697, device="qr-1"
)
LISTENERS = (
    LISTENER,
    replace(LISTENER, id="other-network"),
    replace(ROUTER, device=""),
    replace(ROUTER, port_id="interface-1", network_id=NETWORK_ID),
    replace(ROUTER, port_id="interface-1", network_id="moved"),
)
TARGETS = (
    b"/",
    b"/latest/meta-data/",
    b"/latest/meta-data/hostname?x=1",
    b"/latest/user-data",
    b"/openstack/latest/meta_data.json?recursive=true",
    b"/openstack/latest/meta_data.json",
    b"/openstack/latest/nothing",
    b"/latest/api/token",
    b"/2019-10-01/api/token",
    b"/openstack/latest/guest-attributes/a/b",
    b"http://169.254.169.254/latest/meta-data/instance-id",
    b"/latest/user-data?wait_for_change=true&last_etag=x",
    b"/latest/user-data?wait_for_change=maybe",
    b"/%2e%2e/\xff",
)
TTL = (b"x-aws-ec2-metadata-token-ttl-seconds", b"60")
HOLDER = Holder(instance_id=VIEW.instance.id, port_id=PORT.id)
SHOWN = (b"x-aws-ec2-metadata-token", Tokens(SECRET).issue(HOLDER, 60, NOW))
HEADERS = st.sampled_from(
    [
        TTL,
        (TTL[0], b"0"),
        SHOWN,
        (SHOWN[0], b"forged"),
        (b"if-none-match", b"*"),
        (b"connection", b"close, " + TTL[0]),
        (b"connection", SHOWN[0]),
        (b"x-forwarded-for", b"10.9.9.9"),
        (b"x_forwarded_for", b"10.9.9.9, 10.9.9.8"),
    ]
)
FORGED = st.tuples(
    st.sampled_from(
        [
            *(b"x-instance-id", b"x-tenant-id", b"x-instance-id-signature"),
            *(b"x-neutron-network-id", b"x-neutron-router-id", b"x-ovn-network-id"),
            *(b"x-a9fe-probe", b"x-a9fe-port-id", b"x-a9fe-mac", b"x-a9fe-request-id"),
            *(b"x-a9fe-hop", b"x-a9fe-guest-forwarded", b"x_a9fe_connected_at"),
        ]
    ),
    st.sampled_from([b"1", b"", b"10.9.9.9", b"other", b"\xff"]),
)
ASKED = {
    "method": st.sampled_from([b"GET", b"PUT", b"HEAD", b"POST", b"DELETE", b"OPTIONS"]),
    "target": st.sampled_from(TARGETS),
    "headers": st.lists(st.one_of(HEADERS, HEADERS, FORGED), max_size=3).map(tuple),
    "body": st.sampled_from([b"", b"text"]),
}
TOKEN_REQUEST = {
    "method": st.just(b"PUT"),
    "target": st.just(b"/latest/api/token"),
    "headers": st.lists(HEADERS, max_size=2).map(lambda others: (TTL, *others)),
}
OF_THE_VM = {
    "client_address": st.just(ADDRESS),
    "listener": st.just(LISTENER),
    "client_mac": st.just(MAC),
}
OF_ANY = {
    "client_address": st.sampled_from(
        [ADDRESS, f"::ffff:{ADDRESS}", "10.1.0.50", "10.1.0.60", "10.1.0.70", "fe80::1"]
    ),
    "listener": st.sampled_from(LISTENERS),
    "client_mac": st.sampled_from([MAC, MAC.upper(), "", NO_RECORD.mac_address, LATE.mac_address]),
    "local_address": st.sampled_from(["10.1.0.1", "::ffff:10.1.0.1", "10.1.0.7"]),
    "connected_at": st.sampled_from([0.0, 1e-9, 5.0004]),
}
REQUESTS = st.one_of(
    st.builds(Request, **ASKED, **OF_THE_VM),
    st.builds(Request, **TOKEN_REQUEST, **OF_THE_VM),
    st.builds(Request, **ASKED, **OF_ANY),
)


def as_sent(answer: Answer) -> tuple[object, ...]:
    """Return the answer without what differs by time: request id and token."""
    ids = [value for name, value in answer.headers if name == b"x-a9fe-request-id"]
    body = answer.body.replace(ids[0], b"ID") if ids else answer.body
    is_token = TTL[0] in [name for name, _ in answer.headers]
    headers = [(name, value) for name, value in answer.headers if name != b"x-a9fe-request-id"]
    facts = (answer.reason, answer.hop_limit, answer.owner, answer.close)
    return answer.status, headers, len(body) if is_token else body, len(ids), *facts


@dataclass
class Path:
    """One shape over a replica, and what it refused. `confirms` counts requests to the server."""

    replica: Replica
    certain: bool
    news: bool
    options: MetadataOptions
    tally: Tally = field(default_factory=Tally)
    confirms: int = 0

    async def confirm(self) -> bool:
        self.confirms += 1
        if self.news and self.replica.port(LATE.id) is None:
            late = [upsert(SYNCED + 1, port) for port in (LATE, LATE_WITHOUT_RECORD)]
            feed(self.replica, *late, plain("synced", SYNCED + 1), now=NOW)
        return self.certain

    def finder(self) -> PortFinder:
        return PortFinder(
            host="h1",
            source=self.replica,
            confirm=self.confirm,
            source_lost_after=60,
            now=lambda: NOW,
        )

    def service(self) -> Service:
        report = Report("service", self.tally)
        gate = TokenGate(tokens=Tokens(SECRET), options=self.options)
        return Service(
            source=self.replica,
            settings=Settings,
            now=lambda: NOW,
            random_bytes=zeros,
            source_lost_after=60,
            refuse=lambda refusal, request, id: report.refusal(
                refusal, request, request_id=id.encode()
            ),
            confirm=self.confirm,
            gates=(gate.gate, attributes_enabled),
            documents=DocumentReader(Waiters(self.replica), wait_max=0.0),
            actions=gate.actions,
        )

    def agent(self) -> Handler:
        return MetadataAgent(
            finder=self.finder(),
            upstream=SignedService(service=self.service(), secret=SECRET),
            report=Report("agent", self.tally),
            sign=signer(SECRET),
        ).handle

    def split(self) -> Handler:
        return MetadataProxy(self.agent(), Report("proxy", self.tally)).handle

    def metadata_host(self) -> MetadataHost:
        report = Report("host", self.tally)
        return MetadataHost(finder=self.finder(), service=self.service(), report=report)

    def host(self) -> Handler:
        return self.metadata_host().of_guest

    def host_behind_a_proxy(self) -> Handler:
        host = self.metadata_host()
        return lambda request: of_proxy(host, request)


def replica_of(state: str) -> Replica:
    """Return a replica that is "synced", "lost" (for long), "behind" or "empty"."""
    replica = Replica()
    if state == "empty":
        return replica
    feed(replica, *snapshot(SYNCED, *RESOURCES, INTERFACE, DHCP, NO_RECORD), now=NOW)
    if state != "synced":
        replica.lost(NOW - (3600 if state == "lost" else 1))
    return replica


async def awaited(result: Answer | Awaitable[Answer]) -> Answer:
    return result if isinstance(result, Answer) else await result


STATES = st.fixed_dictionaries(
    {
        "state": st.sampled_from(["synced", "synced", "lost", "behind", "empty"]),
        "certain": st.booleans(),
        "news": st.booleans(),
        "options": st.sampled_from(OPTIONS),
    }
)


def path(*, state: str, certain: bool, news: bool, options: MetadataOptions) -> Path:
    return Path(replica=replica_of(state), certain=certain, news=news, options=options)


@given(request=REQUESTS, world=STATES)
def test_a_guest_reads_the_same_in_both_shapes(request: Request, world: dict):
    async def main() -> None:
        by_hops, by_calls = path(**world), path(**world)
        expected = answer_for_guest(await awaited(by_hops.split()(request)))
        found = await awaited(by_calls.host()(request))
        assert as_sent(found) == as_sent(expected)
        assert by_calls.tally.refusals == by_hops.tally.refusals
        assert by_calls.confirms <= min(by_hops.confirms, 1)

    asyncio.run(main())


@given(request=REQUESTS, world=STATES, hop=st.sampled_from([(), ((b"x-a9fe-hop", b"1"),)]))
def test_a_proxy_reads_the_same_in_both_shapes(request: Request, world: dict, hop: Headers):
    """The socket of hop 2: the guest's headers with those of a proxy, ours or another."""
    ours = ((b"x-forwarded-for", ADDRESS.encode()), (b"x-neutron-network-id", NETWORK_ID.encode()))
    others = tuple(pair for pair in request.headers if pair[0] != b"x-a9fe-hop")
    request = replace(request, headers=(*others, *ours, *hop), listener=None)

    async def main() -> None:
        by_hops, by_calls = path(**world), path(**world)
        expected = await awaited(by_hops.agent()(request))
        found = await awaited(by_calls.host_behind_a_proxy()(request))
        assert as_sent(found) == as_sent(expected)
        assert by_calls.tally.refusals == by_hops.tally.refusals

    asyncio.run(main())


@pytest.mark.parametrize("shape", ["split", "host"])
def test_an_address_that_moved_during_a_wait_gets_no_answer(shape: str):
    async def main() -> tuple[Answer, list[Refusal]]:
        world = path(state="synced", certain=True, news=False, options=OPTIONS[0])
        document = DocumentReader(Waiters(world.replica), wait_max=60.0)
        service = replace(world.service(), documents=document)
        if shape == "host":
            ask: Handler = replace(world.metadata_host(), service=service).of_guest
        else:
            agent = MetadataAgent(
                finder=world.finder(),
                upstream=SignedService(service=service, secret=SECRET),
                report=Report("agent", world.tally),
                sign=signer(SECRET),
            )
            ask = MetadataProxy(agent.handle, Report("proxy", world.tally)).handle
        request = Request(
            method=b"GET", target=b"/latest/user-data", headers=(), client_address=ADDRESS
        )
        request = replace(request, listener=LISTENER)
        tag = dict((await awaited(ask(request))).headers)[b"etag"].strip(b'"')
        waiting = replace(
            request, target=b"/latest/user-data?wait_for_change=true&last_etag=" + tag
        )
        guest = asyncio.ensure_future(awaited(ask(waiting)))
        await turns()
        moved = replace(PORT, device_id="another-instance")
        changed = replace(VIEW.instance, user_data=b"new")
        feed(world.replica, upsert(SYNCED + 1, moved), upsert(SYNCED + 2, changed), now=NOW)
        return answer_for_guest(await guest), world.tally.refusals

    answer, refusals = asyncio.run(main())
    assert (answer.status, answer.close, refusals) == (503, True, [Refusal.OTHER_OWNER])


@pytest.mark.parametrize(
    ("certain", "expected"), [(True, Refusal.UNKNOWN_INSTANCE), (False, Refusal.UNCONFIRMED)]
)
@pytest.mark.parametrize(("shape", "confirms"), [("split", 2), ("host", 1)])
def test_a_miss_of_port_and_instance_is_confirmed_once_in_the_host_shape(
    *, certain: bool, expected: Refusal, shape: str, confirms: int
):
    async def main() -> Path:
        world = path(state="synced", certain=certain, news=True, options=OPTIONS[0])
        request = Request(method=b"GET", target=b"/latest/", headers=(), listener=LISTENER)
        handler = world.host() if shape == "host" else world.split()
        await awaited(handler(replace(request, client_address="10.1.0.70")))
        return world

    world = asyncio.run(main())
    assert (world.tally.refusals, world.confirms) == ([expected], confirms)
