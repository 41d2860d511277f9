"""What `a9fe up` checks of the host before it starts its processes."""

import socket

import structlog

from a9fe.cli.host import host_firewall
from a9fe.cli.host import other_software as neighbours
from a9fe.linux.processes import programs
from a9fe.linux.rulesets import iptables
from a9fe.plan.mark import Mark
from a9fe.replica import path_of
from a9fe.replica.disk import was_complete
from a9fe.runtime.config import Config
from a9fe.runtime.errors import StartError
from a9fe.runtime.options import BY_NAME, HOST
from a9fe.runtime.state import directories, installation

log = structlog.get_logger()

NEEDED = ("ip", "dnsmasq", "nft")
SERVING = ("metadata", "service")  # names of the replicas from which metadata is served


def run(config: Config, *, adopt: bool) -> str:
    """Check the host; return "1" if processes can serve without the server, else "".

    Raises StartError.
    """
    goes_on = has_replicas(config)
    check_ports(config, goes_on=goes_on)
    check_host(config)
    mark = Mark(installation.ensure(config))
    neighbours.check(mark, adopt=adopt)
    host_firewall.check(mark)
    return "1" if goes_on else ""


def has_replicas(config: Config) -> bool:
    """Return whether a replica is on disk, from which metadata is served without the server."""
    return any(was_complete(path_of(config, agent)) for agent in SERVING)


def check_ports(config: Config, *, goes_on: bool) -> None:
    """Check that the ports to listen on are free. Raises StartError.

    With `goes_on`, a port in use is only logged: its process is retried while the others serve.
    """
    try:
        check_port_free("bind", config.bind_host, config.bind_port)
        if config.metadata_shape != HOST:
            check_port_free("metadata_listen", config.metadata_listen, config.metadata_listen_port)
    except StartError as error:
        if not goes_on:
            raise
        log.error("cannot start yet, will retry", reason=str(error))  # noqa: TRY400


def check_host(config: Config) -> None:
    """Check that our users can reach their directories and that programs are installed.

    Raises StartError.
    """
    directories.check_passable("state_path", config.state_path)
    directories.check_passable("run_path", config.run_path)
    for program in NEEDED:
        programs.find(program)
    if iptables.is_legacy():
        log.warning(
            "the host's iptables is the legacy variant and does not show the routers' rules",
            expected="iptables-nft, or `nft list ruleset`, in the routers' namespaces",
        )


def check_port_free(option: str, host: str, port: int) -> None:
    """Raise StartError, with the option's name, if the port is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            flag = BY_NAME[f"{option}_port"].flag
            raise StartError(
                f"{option}_port: cannot listen on port {port} of {host} ({error.strerror}),"
                f" expected a free port: stop its process (see ss -ltnp), or set {flag}"
            ) from error
