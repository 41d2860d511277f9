"""Check of `a9fe up`: the host's firewall must let packets pass between VMs and our namespaces."""

import structlog

from a9fe.linux import bridged_frames
from a9fe.model.errors import A9feError
from a9fe.plan.mark import Mark

log = structlog.get_logger()

PROGRAMS = {"IPv4": "iptables", "IPv6": "ip6tables"}  # by kind of bridged_frames.PACKETS


def check(mark: Mark) -> None:
    """Log an error if packets of VMs are dropped, with the commands that end it.

    Nothing is changed: the rules are other software's, and it may need them.
    """
    try:
        kinds = sorted(bridged_frames.dropped(mark))
    except (A9feError, OSError) as error:
        log.info("not checked whether the host's firewall drops VMs' packets", reason=str(error))
        return
    if kinds:
        log.error(
            "the host's firewall drops VMs' packets on bridges: no VM will get an address or"
            " metadata. Some software (Docker, for one) set net.bridge.bridge-nf-call-iptables=1"
            " and a policy DROP in FORWARD. Accept bridged packets there, or set the sysctl to 0",
            kinds=", ".join(kinds),
            commands="; ".join(command(kind) for kind in kinds),
            sysctls="; ".join(sysctl(kind) for kind in kinds),
        )


def command(kind: str) -> str:
    """Return the command that accepts these packets between ports of one of our bridges.

    No routed packet matches: our filters let none from or to our bridges.
    """
    return f"{PROGRAMS[kind]} -I FORWARD -i brq+ -o brq+ -j ACCEPT"


def sysctl(kind: str) -> str:
    """Return the command that keeps bridged packets from the host's firewall."""
    return f"sysctl -w net.bridge.bridge-nf-call-{PROGRAMS[kind]}=0"
