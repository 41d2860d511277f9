"""Facts of accepted connections: from the headers of a SYN, and over loopback."""

import socket
import time

import pytest

from a9fe.http.server.accepted import TICK, source_mac
from a9fe.wire.message import Answer, Request
from tests.kit.http_world import GET, LOOPS, run, serving

QUEUED = 0.1  # s in the kernel's queue
MAC = "fa:16:3e:00:00:0a"
ETHERNET = bytes.fromhex("c2ad598c0e5b") + bytes.fromhex(MAC.replace(":", ""))
# Saved by Linux 6.18 from 10.0.0.2, and one of IPv6 from fd00::2, as far as the source address.
IPV4 = ETHERNET + bytes.fromhex("0800 4500003cddc14000400648f8 0a000002 0a000001")
IPV6 = ETHERNET + bytes.fromhex(
    "86dd 600d7cf100280640 fd000000000000000000000000000002 fd000000000000000000000000000001"
)


@pytest.mark.parametrize(
    ("syn", "client", "mac"),
    [
        (IPV4, "10.0.0.2", MAC),
        (IPV4, "::ffff:10.0.0.2", MAC),
        (IPV6, "fd00::2", MAC),
        (IPV4, "10.0.0.3", ""),  # not this client's frame
        (IPV6, "10.0.0.2", ""),
        (IPV4[14:], "10.0.0.2", ""),  # no Ethernet header
        (IPV4[:20], "10.0.0.2", ""),
        (b"", "10.0.0.2", ""),  # SYN cookies: nothing was saved
        (bytes(12) + IPV4[12:], "10.0.0.2", ""),  # loopback
    ],
)
def test_the_mac_is_the_source_of_the_clients_frame_or_unknown(syn: bytes, client: str, mac: str):
    assert source_mac(syn, client) == mac


@pytest.mark.parametrize("loop", LOOPS)
def test_the_time_of_a_connection_is_that_of_its_handshake(loop: str):
    """Time in the kernel's queue counts; bytes that the client sent do not change it."""
    heard: list[Request] = []

    def listen(request: Request) -> Answer:
        heard.append(request)
        return Answer(status=200)

    async def main() -> None:
        async with serving(listen) as world:
            before = time.monotonic()
            with socket.create_connection(world.address) as sock:
                time.sleep(QUEUED)  # noqa: ASYNC251 - the server must not accept meanwhile
                after = time.monotonic()
                sock.sendall(GET)
                await world.until(lambda: heard)
        assert before - 2 * TICK <= heard[0].connected_at < after
        assert heard[0].local_address == world.address[0]
        assert heard[0].client_mac == ""

    run(main, loop)


def test_a_unix_socket_has_no_facts(tmp_path):
    heard: list[Request] = []

    def listen(request: Request) -> Answer:
        heard.append(request)
        return Answer(status=200)

    async def main() -> None:
        async with serving(listen, path=str(tmp_path / "s")) as world:
            await (await world.client()).ask(GET)

    run(main)
    facts = heard[0]
    assert (facts.client_address, facts.client_mac, facts.local_address, facts.connected_at) == (
        "",
        "",
        "",
        0.0,
    )
