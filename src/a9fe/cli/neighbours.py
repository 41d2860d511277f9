"""Who else makes objects with our names on this host, said when `a9fe up` starts."""

import os

import structlog

from a9fe.linux import foreign, process
from a9fe.plan.mark import Mark
from a9fe.runtime.errors import StartError

log = structlog.get_logger()

AGENTS = ("l3-agent", "dhcp-agent")
SHOWN = 5  # of each kind in one log line; `a9fe clean` lists all


def check(mark: Mark, *, adopt: bool) -> None:
    """Say who is there and what to do. Raises StartError beside an a9fe that gives no marks.

    It knows its objects by name alone, so it would remove ours. Others that run here do not
    clash: what they make has their marks, and other names where it stands beside ours.
    """
    old = foreign.has_table_without_mark() and _agents()
    if old:
        raise StartError(
            f"an older a9fe runs here (pid {old[0]}), which takes all objects with our names for"
            " its own and would remove ours: end it; `a9fe up --adopt` takes over what it made"
        )
    if adopt:
        for line in foreign.adopt(mark):
            log.info("took over", what=line)
    _say_others(mark)
    _say_neutron()


def _agents() -> list[int]:
    """The L3 and DHCP agents of any a9fe that run in our network namespace."""
    here = process.network_namespace(os.getpid())
    return [
        pid
        for pid in process.all_pids()
        if any(
            words[1] in AGENTS and os.path.basename(words[0]) == "a9fe"
            for words in zip(
                process.command_line(pid), process.command_line(pid)[1:], strict=False
            )
        )
        and process.network_namespace(pid) in (here, process.HIDDEN)
    ]


def _say_others(mark: Mark) -> None:
    found = (*foreign.others(mark), *foreign.other_links(mark))
    if found:
        more = f" (and {len(found) - SHOWN} more)" if len(found) > SHOWN else ""
        log.warning(
            "objects with our names are not ours, and are left alone; `a9fe clean` lists them,"
            " and `a9fe up --adopt` takes over those that an older a9fe left without a mark",
            found="; ".join(found[:SHOWN]) + more,
        )


def _say_neutron() -> None:
    agents = foreign.neutron_agents()
    if agents:
        log.warning(
            "a Neutron agent runs here: we leave its objects alone, but its L3 agent removes"
            " router namespaces that it does not know when it starts, and neutron-netns-cleanup"
            " and neutron-linuxbridge-cleanup remove by name. Do not use --adopt here. To keep"
            " both, run a9fe's agents on another host, or only a9fe metadata-proxy,"
            " metadata-agent or metadata-service beside Neutron's",
            agents=", ".join(f"{name} (pid {pid})" for pid, name in agents.items()),
        )
