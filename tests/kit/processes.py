"""The hops of the data path as separate processes."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import httpx

from a9fe.wire.message import Listener
from tests.kit.fake_ports import VM

START = """
import importlib, json, sys
from a9fe.runtime import config, logging
logging.configure(sys.argv[1])
room = importlib.import_module(f"a9fe.{sys.argv[1].replace('-', '_')}.main")
room.run(config.load(json.loads(sys.argv[2])))
"""


@contextmanager
def process(name: str, flags: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Start a hop and wait until it is ready; stop it after the block, with status 0."""
    command = [sys.executable, "-c", START, name, json.dumps(flags)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        try:
            seen = []
            for line in running.stderr:
                seen.append(line)
                if " ready " in line:
                    break
            assert " ready " in seen[-1], "".join(seen)
            threading.Thread(target=running.stderr.read, daemon=True).start()
            yield running
            running.send_signal(signal.SIGTERM)
            assert running.wait(10) == 0
        finally:
            running.kill()


def hand_over(control: str, sock: socket.socket) -> Listener:
    address, port = sock.getsockname()
    listener = Listener(
        kind="network", id=VM.network_id, namespace="qdhcp-x", address=address, port=port
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        link.connect(control)
        link.send(json.dumps({"op": "hello", "owner": "dhcp_agent"}).encode())
        assert json.loads(link.recv(65536))["last"] is True
        message = {"op": "give", "listener": asdict(listener)}
        socket.send_fds(link, [json.dumps(message).encode()], [sock.fileno()])
        assert json.loads(link.recv(65536)) == {"op": "ok"}
    return listener


def metrics(path: Path) -> str:
    transport = httpx.HTTPTransport(uds=str(path))
    with httpx.Client(transport=transport) as client:
        return client.get("http://localhost/metrics").text
