"""The table of a9fe's processes, and which of them each shape of the metadata path has."""

from collections.abc import Callable
from dataclasses import dataclass

from a9fe.runtime.config import Config
from a9fe.runtime.options import DROP_IN, HOST, SPLIT
from a9fe.wire.handover import HOLDER_SOCKET, PROXY_SOCKET


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process: `user` runs the function `run` of `module` in `room`.

    `directories` below state_path are private to that user. `secret`: it needs the shared secret.
    `follows`: it follows the change feed with an agent's token. `listens`: its address, to print.
    `survives`: it outlives a killed `a9fe up`, and the next `a9fe up` takes it over.
    `alone`: no other process has its modules, so it imports them itself, while the others start;
    the fork server imports those of the others once, for all. `shapes`: the values of
    metadata_shape with which `a9fe up` runs it.
    `asked_by`: the process that sends it requests, and is stopped before it.
    """

    name: str
    room: str
    user: Callable[[Config], str]
    directories: tuple[str, ...]
    listens: Callable[[Config], str]
    secret: bool = False
    follows: bool = False
    survives: bool = False
    alone: bool = False
    module: str = "main"
    shapes: frozenset[str] = frozenset({HOST, SPLIT, DROP_IN})
    asked_by: str = ""

    @property
    def imported(self) -> str:
        """The module with its function `run`."""
        return f"a9fe.{self.room}.{self.module}"


HOPS_APART = frozenset({SPLIT, DROP_IN})

PROCESSES: tuple[Process, ...] = (
    Process(
        name="server",
        room="server",
        user=lambda config: config.server_user,
        directories=("server",),
        alone=True,
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
        name="metadata-host",
        room="metadata_host",
        user=lambda config: config.metadata_proxy_user,
        directories=("replica-service", "identity", "imds"),
        follows=True,
        listens=lambda config: f"namespaces; {config.run_path}/{PROXY_SOCKET}",
        shapes=frozenset({HOST}),
    ),
    Process(
        name="metadata-proxy",
        room="metadata_proxy",
        user=lambda config: config.metadata_proxy_user,
        directories=(),
        listens=lambda config: f"namespaces; {config.run_path}/{PROXY_SOCKET}",
        shapes=HOPS_APART,
    ),
    Process(
        name="metadata-agent",
        room="metadata_agent",
        user=lambda config: config.metadata_agent_user,
        directories=("replica-metadata",),
        follows=True,
        listens=lambda config: config.metadata_proxy_socket,
        secret=True,
        shapes=HOPS_APART,
        asked_by="metadata-proxy",
    ),
    Process(
        name="metadata-service",
        room="metadata_service",
        user=lambda config: config.metadata_service_user,
        directories=("replica-service", "identity"),
        follows=True,
        listens=lambda c: f"http://{c.metadata_listen}:{c.metadata_listen_port}",
        secret=True,
        shapes=HOPS_APART,
        asked_by="metadata-agent",
    ),
)
HOLDER = Process(
    name="listener-holder",
    room="metadata_proxy",
    module="listener_holder",
    user=lambda config: config.metadata_proxy_user,
    directories=(),
    listens=lambda config: f"{config.run_path}/{HOLDER_SOCKET}",
    survives=True,
)


def processes_of(config: Config) -> tuple[Process, ...]:
    """Return the processes that `a9fe up` runs in the shape of `config`, without the holder."""
    return tuple(process for process in PROCESSES if config.metadata_shape in process.shapes)


BY_NAME = {process.name: process for process in (*PROCESSES, HOLDER)}
