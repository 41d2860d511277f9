"""haproxy as Neutron's metadata driver configures it, in front of a metadata agent's Unix socket.

Tests and benchmarks run it.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kit.conditions import eventually
from tests.lab.handmade import sh
from tests.lab.places import CACHE

HAPROXY = CACHE / "haproxy/usr/sbin/haproxy"
ENVIRONMENT = {
    **os.environ,
    "LD_LIBRARY_PATH": ":".join(map(str, CACHE.glob("lib*/usr/lib/*"))),
}
CONFIG = """
global
    maxconn 1024
    {process}
defaults
    mode http
    option httplog
    option dontlognull
    option http-server-close
    option forwardfor
    retries 3
    timeout http-request 30s
    timeout connect 30s
    timeout client 32s
    timeout server 32s
    timeout http-keep-alive 30s
listen listener
    bind 169.254.169.254:{port}
    server metadata {socket}
    http-request del-header X-Neutron-Router-ID
    http-request set-header X-Neutron-Network-ID {network}
"""


def configuration(network_id: str, socket: Path, process: str, port: int = 80) -> str:
    """Return the file as neutron.agent.linux.metadata_driver_base writes it, without its log.

    `process`: how it runs.
    """
    return CONFIG.format(network=network_id, socket=socket, process=process, port=port)


@contextmanager
def haproxy(
    space: str, directory: Path, network_id: str, socket: Path, port: int
) -> Iterator[None]:
    """Run it in a namespace that has 169.254.169.254, until the block ends."""
    config = directory / f"haproxy-{port}.cfg"
    config.write_text(configuration(network_id, socket, "nbthread 2", port))
    command = ["ip", "netns", "exec", space, str(HAPROXY), "-db", "-q", "-f", str(config)]
    with (directory / f"haproxy-{port}.log").open("wb") as log:
        running = subprocess.Popen(command, env=ENVIRONMENT, stderr=log)
    try:
        listening = f"ip netns exec {space} ss -Hlnt sport = :{port}"
        eventually(lambda: sh(listening), what=f"haproxy listens on port {port}")
        yield
    finally:
        running.kill()
        running.wait()
