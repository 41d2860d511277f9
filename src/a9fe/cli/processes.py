"""The processes of a9fe: one table, for the commands that run one and for `a9fe up`."""

from collections.abc import Callable
from dataclasses import dataclass

from a9fe.runtime.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process. `module`.run(config) of its `room` is it, and `user` runs it.

    `directories` of the state are that user's alone; `secret`: it signs or verifies; `follows`: it
    is an agent with a token; `listens` is for people to read; `survives`: it does not end with
    `a9fe up` when that is killed, and the next one goes on with it.
    """

    name: str
    room: str
    user: Callable[[Config], str]
    directories: tuple[str, ...]
    listens: Callable[[Config], str]
    secret: bool = False
    follows: bool = False
    survives: bool = False
    module: str = "main"


PROCESSES: tuple[Process, ...] = (
    Process(
        name="server",
        room="server",
        user=lambda config: config.server_user,
        directories=("server",),
        listens=lambda config: f"http://{config.bind_host}:{config.bind_port}",
    ),
    Process(
        name="l3-agent",
        room="l3_agent",
        user=lambda _: "root",
        directories=("replica-l3",),
        follows=True,
        listens=lambda _: "",
    ),
    Process(
        name="dhcp-agent",
        room="dhcp_agent",
        user=lambda _: "root",
        directories=("replica-dhcp",),
        follows=True,
        listens=lambda _: "",
    ),
    Process(
        name="metadata-proxy",
        room="metadata_proxy",
        user=lambda config: config.metadata_proxy_user,
        directories=(),
        listens=lambda config: f"namespaces; {config.run_path}/proxy-control.sock",
    ),
    Process(
        name="metadata-agent",
        room="metadata_agent",
        user=lambda config: config.metadata_agent_user,
        directories=("replica-metadata",),
        follows=True,
        listens=lambda config: config.metadata_proxy_socket,
        secret=True,
    ),
    Process(
        name="metadata-service",
        room="metadata_service",
        user=lambda config: config.metadata_service_user,
        directories=("replica-service", "identity"),
        follows=True,
        listens=lambda c: f"http://{c.metadata_listen}:{c.metadata_listen_port}",
        secret=True,
    ),
)
HOLDER = Process(
    name="listener-holder",
    room="metadata_proxy",
    module="holder",
    user=lambda config: config.metadata_proxy_user,
    directories=(),
    listens=lambda config: f"{config.run_path}/listener-holder.sock",
    survives=True,
)
BY_NAME = {process.name: process for process in (*PROCESSES, HOLDER)}
