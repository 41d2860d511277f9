"""Checks of `a9fe up` for other software that makes kernel objects with our names."""

import os

import structlog

from a9fe.linux import foreign
from a9fe.linux.processes import process
from a9fe.plan.mark import Mark
from a9fe.runtime.errors import StartError

log = structlog.get_logger()

AGENTS = ("l3-agent", "dhcp-agent")
SHOWN = 5  # objects in one log line; `a9fe clean` lists all


def check(mark: Mark, *, adopt: bool) -> None:
    """Warn of other installations and of Neutron agents. Raises StartError if an a9fe without
    marks runs.

    An a9fe from before marks recognises its objects by name alone and would remove ours. Other
    installations do not conflict: their objects have their own marks, and ids in their names.
    """
    old = foreign.has_table_without_mark() and _agents()
    if old:
        raise StartError(
            f"an older a9fe (pid {old[0]}) runs here and would remove our objects, as it knows"
            " its own by name alone; stop it, then `a9fe up --adopt` takes over its objects"
        )
    if adopt:
        for line in foreign.adopt(mark):
            log.info("took over", what=line)
    _warn_of_other_objects(mark)
    _warn_of_neutron_agents()


def _agents() -> list[int]:
    """Return the pids of L3 and DHCP agents of any a9fe in our network namespace."""
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


def _warn_of_other_objects(mark: Mark) -> None:
    found = (*foreign.others(mark), *foreign.other_links(mark))
    if found:
        more = f" (and {len(found) - SHOWN} more)" if len(found) > SHOWN else ""
        log.warning(
            "left alone objects with a9fe's names but not our mark; `a9fe clean` lists them,"
            " `a9fe up --adopt` takes over unmarked ones of an older a9fe",
            found="; ".join(found[:SHOWN]) + more,
        )


def _warn_of_neutron_agents() -> None:
    agents = foreign.neutron_agents()
    if agents:
        log.warning(
            "a Neutron agent runs here. a9fe leaves its objects alone, but Neutron's L3 agent"
            " removes unknown router namespaces when it starts, and neutron-netns-cleanup and"
            " neutron-linuxbridge-cleanup remove objects by name. Do not use --adopt here. Run"
            " a9fe's agents on another host, or run only a9fe metadata-proxy, metadata-agent or"
            " metadata-service beside Neutron's agents",
            agents=", ".join(f"{name} (pid {pid})" for pid, name in agents.items()),
        )
