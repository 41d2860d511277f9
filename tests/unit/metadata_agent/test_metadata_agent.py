"""The agent behind its Unix socket: headers, signature, statuses; and as a process."""

import asyncio
import os
import socket
import time
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from a9fe.http.access_log import AccessLog
from a9fe.http.report import Report
from a9fe.http.server.accepted import TICK
from a9fe.metadata_agent.agent import MetadataAgent, signer
from a9fe.metadata_agent.hop import HINT_INTERVAL, SignatureHints
from a9fe.metadata_agent.main import admit_only
from a9fe.metadata_agent.port_finder import PortFinder
from a9fe.metadata_agent.upstream_request import upstream_request
from a9fe.metadata_proxy.proxy import MetadataProxy
from a9fe.metadata_proxy.relay import answer_for_guest
from a9fe.model.errors import InvalidInput
from a9fe.model.resources import Port
from a9fe.runtime import metrics
from a9fe.wire.freshness import Freshness
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal, refuse
from a9fe.wire.trusted import sign
from tests.kit.fake_ports import SECRET, VM, FakePorts, fresh, port
from tests.kit.http_world import (
    GET,
    NETWORK,
    Tally,
    never,
    run,
    scripted,
    serving,
    until,
    upstream_at,
)

ASK = (
    b"GET /latest?a=b HTTP/1.1\r\nHost: 169.254.169.254\r\nX-Forwarded-For: 127.0.0.1\r\n"
    b"X-Neutron-Network-ID: net-1\r\nX-A9fe-Request-ID: abc123\r\nAccept: */*\r\n\r\n"
)


def dhcp_of(host: str) -> Port:
    return replace(port("dhcp", "net-1", owner="network:dhcp"), host=host)


class Source(FakePorts):
    def __init__(self, *ports, freshness: Freshness | None = None) -> None:
        super().__init__(*ports)
        self.fresh = freshness or fresh()
        self.on_networks = {"net-1": (dhcp_of("h1"),)}

    def freshness(self, now: float) -> Freshness:
        return self.fresh

    def ports_by_network(self, network_id: str) -> tuple[Port, ...]:
        return self.on_networks.get(network_id, ())


async def always_certain() -> bool:
    return True


def agent(source: Source, upstream, tally: Tally, **options) -> MetadataAgent:
    finder = PortFinder(
        host="h1",
        source=source,
        confirm=options.pop("confirm", always_certain),
        source_lost_after=60,
        now=lambda: 0.0,
    )
    return MetadataAgent(
        finder=finder,
        upstream=upstream,
        report=Report("metadata-agent", tally),
        sign=signer(SECRET),
        **options,
    )


def answered(request: bytes, *, source: Source | None = None, upstream=None, **options):
    """Return the answer, the requests that the service got, and the refusals."""
    seen, tally = [], Tally()

    def service(got: Request) -> Answer:
        seen.append(got)
        return Answer(status=200, headers=((b"X-Nova", b"1"),), body=b"\x1f\x8b\0")

    async def main():
        handler = agent(source or Source(VM), upstream or service, tally, **options)
        async with serving(handler.handle) as world:
            client = await world.client()
            return await client.ask(request), world.tally.refusals

    got, servers = run(main)
    return got, seen, tally.refusals + servers


def test_a_request_of_a_known_port_is_signed_and_forwarded_unchanged():
    got, (request,), refusals = answered(ASK)
    assert (got.status, got.body, got.headers["x-nova"]) == (200, b"\x1f\x8b\0", "1")
    assert refusals == []
    assert (request.method, request.target) == (b"GET", b"/latest?a=b")
    assert request.headers == (
        (b"host", b"169.254.169.254"),
        (b"accept", b"*/*"),
        (b"x-forwarded-for", b"127.0.0.1"),
        (b"x-instance-id", b"vm-1"),
        (b"x-tenant-id", b"project-1"),
        (b"x-instance-id-signature", sign(SECRET, "vm-1").encode()),
        (b"x-a9fe-port-id", b"port-1"),
        (b"x-a9fe-request-id", b"abc123"),
    )


def test_the_access_log_has_the_vm_though_haproxy_is_not_told_it():
    async def service(_: Request) -> Answer:
        return Answer(status=200)

    async def main():
        log = AccessLog("metadata-agent", metrics, 10)
        handler = agent(Source(VM), service, Tally()).handle
        headers = ((b"x-forwarded-for", b"127.0.0.1"), (b"x-neutron-network-id", b"net-1"))
        return await log.of(handler)(Request(method=b"GET", target=b"/", headers=headers))

    with capture_logs() as lines:
        answer = run(main)
    assert answer.headers == ()
    assert [(line["port"], line["instance"]) for line in lines] == [("port-1", "vm-1")]


def test_trusted_headers_that_haproxy_passes_on_do_not_reach_the_service():
    """haproxy does not remove the guest's X-Instance-ID."""
    lies = b"X-Instance-ID: other\r\nx_tenant_id: other\r\nX-Instance-ID-Signature: 00\r\n"
    _, (request,), _ = answered(ASK.replace(b"Accept: */*\r\n", lies))
    assert request.values(b"x-instance-id") == [b"vm-1"]
    assert b"other" not in [value for _, value in request.headers]


@pytest.mark.parametrize(
    ("forwarded", "said"),
    [
        (b"X-Forwarded-For: 127.0.0.1\r\n", []),
        (b"X-Forwarded-For: 10.9.9.9, 127.0.0.1\r\n", [b"1"]),
        (b"X-Forwarded-For: 10.9.9.9\r\nX-Forwarded-For: 127.0.0.1\r\n", [b"1"]),
        (b"X-Forwarded-For: 127.0.0.1\r\nX-A9fe-Guest-Forwarded: 1\r\n", [b"1"]),
    ],
)
def test_the_service_learns_of_the_guests_x_forwarded_for(forwarded: bytes, said: list[bytes]):
    """haproxy sends the guest's values with its own, in one header or in two."""
    _, (request,), _ = answered(ASK.replace(b"X-Forwarded-For: 127.0.0.1\r\n", forwarded))
    assert request.values(b"x-forwarded-for") == [b"127.0.0.1"]
    assert request.values(b"x-a9fe-guest-forwarded") == said


OURS = b"X-A9fe-Hop: 1\r\n"
FROM_OURS = ASK.replace(b"Accept: */*\r\n", OURS)


def hopping(got: Request) -> Answer:
    """A service that always sends X-A9fe headers."""
    said = ((b"X-A9fe-Hop-Limit", b"1"), (b"x-a9fe-port", b"a-lie"), (b"X-Nova", b"1"))
    return Answer(status=200, headers=said, body=b"token")


def test_our_proxy_gets_the_owner_and_the_services_hop_headers():
    got, _, _ = answered(FROM_OURS, upstream=hopping)
    assert (got.headers["x-a9fe-port"], got.headers["x-a9fe-hop-limit"]) == ("port-1/vm-1", "1")


def test_another_proxy_gets_no_hop_headers():
    got, _, _ = answered(ASK, upstream=hopping)
    assert (got.body, got.headers["x-nova"]) == (b"token", "1")
    assert [name for name in got.headers if name.startswith("x-a9fe")] == []


@pytest.mark.parametrize(("ask", "said"), [(ASK, []), (FROM_OURS, [b"1"])])
def test_the_service_learns_whether_our_proxy_sent_the_request(ask: bytes, said: list[bytes]):
    _, (request,), _ = answered(ask)
    assert request.values(b"x-a9fe-hop") == said


TAKEN = [
    (replace(VM, id="port-2"), Refusal.OTHER_OWNER),
    (replace(VM, device_id="vm-2"), Refusal.OTHER_OWNER),
    (None, Refusal.UNCONFIRMED),
    (replace(VM, mac_address="fa:16:3e:00:00:99"), Refusal.WRONG_MAC),
]


@pytest.mark.parametrize(("after", "refusal"), TAKEN)
@pytest.mark.parametrize("waits", [False, True])
def test_an_answer_is_withheld_when_the_address_changed_hands_meanwhile(after, refusal, waits):
    source = Source(VM)

    async def waiting() -> Answer:
        source.ports = (after,) if after else ()
        return Answer(status=200, body=b"of port-1")

    def service(_: Request):
        if waits:
            return waiting()
        source.ports = (after,) if after else ()
        return Answer(status=200, body=b"of port-1")

    mac = OURS + b"X-A9fe-Mac: fa:16:3e:00:00:01\r\n"
    got, _, refusals = answered(
        ASK.replace(b"Accept: */*\r\n", mac), source=source, upstream=service
    )
    assert (got.status, refusals) == (refusal.value.status, [refusal])
    assert b"of port-1" not in got.body
    assert ("x-a9fe-close" in got.headers) == (refusal is not Refusal.UNCONFIRMED)


def test_a_connection_with_a_wrong_mac_is_closed():
    mac = OURS + b"X-A9fe-Mac: fa:16:3e:00:00:99\r\n"
    got, _, refusals = answered(ASK.replace(b"Accept: */*\r\n", mac))
    assert (got.status, got.headers["x-a9fe-close"]) == (503, "1")
    assert refusals == [Refusal.WRONG_MAC]


def test_a_port_that_the_server_has_already_is_served():
    """The port is created while the request is in flight."""
    source = Source()

    async def confirm() -> bool:
        source.__init__(VM)
        return True

    got, seen, refusals = answered(ASK, source=source, confirm=confirm)
    assert (got.status, len(seen), refusals) == (200, 1, [])


@pytest.mark.parametrize("ports", [(), (VM, replace(VM, id="twin")), (replace(VM, device_id=""),)])
def test_without_confirmation_there_is_no_404(ports):
    async def confirm() -> bool:
        return False

    got, _, refusals = answered(ASK, source=Source(*ports), confirm=confirm)
    assert (got.status, got.headers["retry-after"]) == (503, "2")
    assert [name for name in refusals if "UNCONFIRMED" in str(name).upper()] != []
    assert answered(ASK, source=Source(*ports))[0].status == 404


LEG = replace(port("leg", "net-1", owner="network:router_interface"), host="h1")


@pytest.mark.parametrize(
    ("there", "status"),
    [
        ((), 503),  # no port of this host is on the network any more
        ((VM, replace(VM, host="h1")), 503),  # only those of VMs on this host are sent
        ((dhcp_of("h2"), dhcp_of("")), 503),  # the network moved to another host
        ((dhcp_of("h1"),), 404),
        ((LEG,), 404),
    ],
)
def test_a_miss_is_certain_only_if_an_agent_of_this_host_serves_the_network(there, status):
    ask, source = ASK.replace(b"127.0.0.1", b"10.0.0.9"), Source(VM)
    source.on_networks = {"net-1": there}
    from_ours = ask.replace(b"Accept: */*\r\n", b"X-A9fe-Hop: 1\r\n")
    assert answered(from_ours, source=source)[0].status == status
    assert answered(ask, source=source)[0].status == 404, "Neutron's proxy"


def test_a_hit_confirms_nothing():
    async def confirm() -> bool:
        raise AssertionError

    assert answered(ASK, confirm=confirm)[0].status == 200


def test_a_request_without_an_id_gets_one():
    _, (request,), _ = answered(ASK.replace(b"X-A9fe-Request-ID: abc123\r\n", b""))
    assert len(request.values(b"x-a9fe-request-id")[0]) == 12


REFUSED = {
    "unknown": (ASK.replace(b"127.0.0.1", b"10.0.0.9"), Refusal.NO_PORT),
    "both ids": (
        ASK.replace(b"Accept: */*", b"X-Neutron-Router-ID: r"),
        Refusal.BOTH_IDS,
    ),
    "no id": (ASK.replace(b"X-Neutron-Network-ID: net-1\r\n", b""), Refusal.NO_ID),
    "no address": (ASK.replace(b"X-Forwarded-For: 127.0.0.1\r\n", b""), Refusal.BAD_ADDRESS),
}


@pytest.mark.parametrize(("request_", "refusal"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals_have_their_status_reason_and_request_id(request_, refusal):
    got, seen, refusals = answered(request_)
    assert (got.status, seen, refusals) == (refusal.value.status, [], [refusal])
    assert got.headers["x-a9fe-request-id"] == "abc123"


def test_an_uncertain_miss_is_503_with_retry_after():
    source = Source(freshness=fresh(ever_synced=False, synced_now=False))
    got, _, refusals = answered(ASK, source=source)
    assert (got.status, refusals) == (503, [Refusal.NOT_SYNCED])
    assert int(got.headers["retry-after"]) > 0


def test_a_known_port_is_served_while_the_server_is_unreachable():
    source = Source(VM, freshness=fresh(synced_now=False, lost_for=1e6))
    assert answered(ASK, source=source)[0].status == 200


@pytest.mark.parametrize("field", ["device_id", "project_id"])
def test_text_of_a_tenant_in_a_port_adds_no_header(field):
    evil = replace(VM, **{field: "x\r\nX-Instance-ID: other"})
    got, seen, refusals = answered(ASK, source=Source(evil))
    assert (got.status, seen, refusals) == (404, [], [Refusal.UNUSABLE_ID])


def test_body_and_method_are_forwarded():
    request = Request(method=b"POST", target=b"/p", headers=(), body=b"\0\xff")
    sent = upstream_request(request, VM, "10.0.0.5", b"sig", b"id")
    assert (sent.method, sent.target, sent.body) == (b"POST", b"/p", b"\0\xff")


def test_an_empty_secret_is_refused():
    with pytest.raises(InvalidInput, match="metadata_proxy_shared_secret"):
        signer("")


def through_two_hops(tmp_path, service) -> tuple[int, list[Refusal], list[Refusal]]:
    """Return the status that a guest gets from a failing service, and each hop's refusals."""
    agent_tally, path = Tally(), str(tmp_path / "agent")

    async def main():
        nova = upstream_at(str(tmp_path / "nova"), timeout=0.2)
        handler = agent(Source(VM), nova, agent_tally)
        async with serving(handler.handle, path=path) as agent_world:
            upstream = upstream_at(path, timeout=5)
            proxy = MetadataProxy(upstream, Report("metadata-proxy", Tally()))
            async with serving(proxy.handle, listener=NETWORK) as world:
                client = await world.client()
                got = await client.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                return got.status, agent_world.tally.refusals, world.tally.refusals

    async def with_service():
        async with scripted(str(tmp_path / "nova"), service):
            return await main()

    return run(with_service if service else main)


async def silent(client) -> None:
    await client.rest()


async def breaking(client) -> None:
    await client.reader.readuntil(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("service", "status", "refusal"),
    [
        (None, 503, Refusal.UPSTREAM_UNREACHABLE),
        (breaking, 503, Refusal.UPSTREAM_BROKEN),
        (silent, 504, Refusal.UPSTREAM_TIMEOUT),
    ],
)
def test_the_agent_reports_failures_of_the_service(service, status, refusal, tmp_path):
    assert through_two_hops(tmp_path, service) == (status, [refusal], [])


def test_a_guests_disconnect_cancels_the_request_at_all_hops(tmp_path):
    seen, path, nova_path = [], str(tmp_path / "agent"), str(tmp_path / "nova")

    async def main():
        async with serving(lambda request: never(request, seen), path=nova_path):
            nova = upstream_at(nova_path, timeout=5)
            handler = agent(Source(VM), nova, Tally())
            async with serving(handler.handle, path=path):
                upstream = upstream_at(path, timeout=5)
                proxy = MetadataProxy(upstream, Report("metadata-proxy", Tally()))
                async with serving(proxy.handle, listener=NETWORK) as world:
                    client = await world.client()
                    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    await until(lambda: seen)
                    client.reset()
                    await until(lambda: "cancelled" in seen)

    run(main)


def of_instance(request: Request) -> Answer:
    return Answer(status=200, body=request.values(b"x-instance-id")[0])


def on_one_connection(tmp_path, source: Source, script, service=of_instance):
    """Return the result of `script`, a guest of proxy and agent, and the proxy's refusals."""
    path = str(tmp_path / "agent")

    async def main():
        handler = agent(source, service, Tally())
        async with serving(handler.handle, path=path):
            upstream = upstream_at(path, timeout=5)
            proxy = MetadataProxy(upstream, Report("metadata-proxy", Tally()))
            async with serving(proxy.handle, listener=NETWORK, outgoing=answer_for_guest) as world:
                return await script(world), world.tally.refusals

    return run(main)


NEXT = replace(VM, id="port-2", device_id="vm-2")  # the next owner of the address


def passed_on(source: Source, *, to: Port = NEXT, seen: bool = False) -> None:
    """Give the address to another port; `seen`: the replica has the time of the change."""
    source.ports = (to,)
    source.since = {to.id: time.monotonic()} if seen else {}


@pytest.mark.parametrize("to", [NEXT, replace(VM, device_id="vm-2")], ids=["port", "instance"])
def test_a_connection_that_outlives_its_port_is_closed_before_the_next_owners_answer(tmp_path, to):
    source = Source(VM)

    async def guest(world):
        client = await world.client()
        assert (await client.ask(GET)).body == b"vm-1"
        assert (await client.ask(GET)).body == b"vm-1"
        passed_on(source, to=to)
        got = await client.ask(GET)
        assert (got.status, await client.is_closed()) == (503, True)
        assert b"vm-" not in got.body
        return (await (await world.client()).ask(GET)).body

    assert on_one_connection(tmp_path, source, guest) == (b"vm-2", [Refusal.OTHER_OWNER])


def test_an_unused_connection_does_not_reach_the_next_owner(tmp_path):
    source = Source(VM)

    async def guest(world):
        client = await world.client()
        await until(lambda: world.server.connections)
        passed_on(source, seen=True)
        got = await client.ask(GET)
        assert (got.status, await client.is_closed()) == (503, True)
        assert [name for name in got.headers if name.startswith("x-a9fe")] == ["x-a9fe-request-id"]
        late = time.monotonic() + 2 * TICK  # what the kernel's clock cannot tell apart
        await until(lambda: time.monotonic() > late)
        return (await (await world.client()).ask(GET)).body

    assert on_one_connection(tmp_path, source, guest) == (b"vm-2", [])


def test_a_waited_for_answer_is_withheld_when_the_address_changed_hands(tmp_path):
    source, asked, changed = Source(VM), asyncio.Event(), asyncio.Event()

    async def waits(request: Request) -> Answer:
        asked.set()
        await changed.wait()
        return of_instance(request)

    async def guest(world):
        client = await world.client()
        await client.send(GET.replace(b"/", b"/?wait_for_change=true", 1))
        await asked.wait()
        passed_on(source)
        changed.set()
        got = await client.answer()
        assert (got.status, await client.is_closed()) == (503, True)
        return got.body

    body, _ = on_one_connection(tmp_path, source, guest, waits)
    assert b"vm-" not in body


@pytest.mark.parametrize(("uid", "admitted"), [(0, True), (1, False)])
def test_only_these_users_may_connect(uid, admitted):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert admit_only({os.geteuid() + uid})(ours) is admitted


def test_a_refused_signature_is_logged_once_an_interval(capsys):
    now = 0.0
    hints = SignatureHints(lambda: now)
    of_signature = refuse(Refusal.BAD_SIGNATURE)
    for at in (0.0, 1.0, HINT_INTERVAL - 1, HINT_INTERVAL):
        now = at
        for answer in (of_signature, refuse(Refusal.UNKNOWN_INSTANCE)):
            hints(answer)
    assert capsys.readouterr().out.count("refused our signature") == 2


def test_the_agent_shows_the_hints_each_403_and_passes_it_on():
    refused, seen = refuse(Refusal.BAD_SIGNATURE), []
    got, _, _ = answered(ASK, upstream=lambda _: refused, on_forbidden=seen.append)
    assert (got.status, got.body, seen) == (403, refused.body, [refused])
    answered(ASK, on_forbidden=seen.append)
    assert seen == [refused]


def test_a_403_about_tokens_logs_no_hint(capsys):
    hints = SignatureHints(lambda: 0.0)
    for refusal in (Refusal.FORWARDED, Refusal.TOKENS_OFF, Refusal.TOKEN_DATED):
        assert refuse(refusal).status == 403
        hints(refuse(refusal))
    assert "signature" not in capsys.readouterr().out
