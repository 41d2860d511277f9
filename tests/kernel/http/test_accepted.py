"""The source MAC of a connection, read from this kernel without any privilege."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from a9fe.linux.kernel import namespace
from a9fe.wire.message import Answer, Request
from tests.lab.beside import serving_beside
from tests.lab.handmade import sh

SERVER, CLIENT = "t-mac-server", "t-mac-client"
MAC = "fa:16:3e:12:34:56"
PORT = 9697


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    """SERVER with a device qr-1 -- CLIENT; its packets to 169.254.169.254:80 are redirected."""
    sh(
        f"""
        ip netns add {SERVER}
        ip netns add {CLIENT}
        ip link add qr-1 netns {SERVER} type veth peer name c0 netns {CLIENT}
        ip -n {CLIENT} link set c0 address {MAC} up
        ip -n {SERVER} link set qr-1 up
        ip -n {SERVER} address add 10.7.0.1/24 dev qr-1
        ip -n {CLIENT} address add 10.7.0.2/24 dev c0
        ip -n {SERVER} address add fd07::1/64 dev qr-1 nodad
        ip -n {CLIENT} address add fd07::2/64 dev c0 nodad
        ip -n {CLIENT} route add default via 10.7.0.1
        ip netns exec {SERVER} iptables -t nat -A PREROUTING -d 169.254.169.254/32 -i qr-+ \
            -p tcp --dport 80 -j REDIRECT --to-ports {PORT}
        """
    )
    yield
    sh(f"ip netns del {SERVER}; ip netns del {CLIENT}")


@contextmanager
def told(family: socket.AddressFamily, listen: str) -> Iterator[None]:
    """Answer each client with its MAC and the local address, or "unknown" for ""."""

    def tell(request: Request) -> Answer:
        text = f"{request.client_mac or 'unknown'} {request.local_address}"
        return Answer(status=200, body=text.encode())

    with namespace.inside(SERVER):
        sock = socket.create_server((listen, PORT), family=family)
    with serving_beside(tell, sock):
        yield


def curl(url: str) -> str:
    return sh(f"ip netns exec {CLIENT} curl -g -sS -m 20 {url}")


def syn_cookies(value: int) -> None:
    sh(f"ip netns exec {SERVER} sysctl -qw net.ipv4.tcp_syncookies={value}")


@pytest.mark.usefixtures("network")
def test_the_mac_of_a_connection_is_known_also_when_redirected():
    with told(socket.AF_INET, "0.0.0.0"):
        assert curl("http://169.254.169.254/") == f"{MAC} 10.7.0.1"
        assert curl(f"http://10.7.0.1:{PORT}/") == f"{MAC} 10.7.0.1"


@pytest.mark.usefixtures("network")
def test_the_mac_of_a_connection_is_known_on_ipv6():
    with told(socket.AF_INET6, "::"):
        assert curl(f"http://[fd07::1]:{PORT}/") == f"{MAC} fd07::1"


@pytest.mark.usefixtures("network")
def test_with_syn_cookies_the_mac_is_unknown_and_the_request_is_served():
    syn_cookies(2)  # always on, as under a flood
    try:
        with told(socket.AF_INET, "0.0.0.0"):
            assert curl("http://169.254.169.254/") == "unknown 10.7.0.1"
    finally:
        syn_cookies(1)
