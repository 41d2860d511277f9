"""Describe an operation on a host that was as planned before: what was wrong, what was done."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from a9fe.plan import operations as op
from a9fe.plan.operations import Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One line for the operator. `where`: a namespace, a bridge, or "port-security"."""

    where: str
    wrong: str
    done: str


def damages(operations: Iterable[Operation]) -> Iterator[Damage]:
    """One Damage for each operation; for a missing namespace only one, not one for each part.

    A deleted bridge is no damage: the last device has left the bridge of a deleted network.
    """
    made: set[str] = set()
    for operation in operations:
        if isinstance(operation, op.DeleteBridge):
            continue
        where = op.scope(operation).partition(" ")[0]
        if where in made:
            continue
        if isinstance(operation, op.AddNamespace):
            made.add(operation.namespace)
        wrong, done = _described(operation)
        yield Damage(where=where, wrong=wrong, done=done)


def _described(operation: Operation) -> tuple[str, str]:
    """Return (the fault, the repair)."""
    found = DESCRIPTIONS.get(type(operation))
    if found is None:
        return f"{type(operation).__name__.removeprefix('Delete')} not in the plan", "removed"
    wrong, done = found
    return wrong.format(o=operation), done.format(o=operation)


DNSMASQ = "dnsmasq of network {o.dnsmasq.network_id}"
RADVD = "radvd of router {o.radvd.router_id}"
# Deletions have no line here: they remove what is not in the plan.
DESCRIPTIONS: dict[type, tuple[str, str]] = {
    op.SetPortSecurity: ("filters were missing or changed", "reloaded"),
    op.SetTaps: ("filters of taps were missing or changed", "set"),
    op.SetBridge: ("bridge {o.bridge.name} was missing, down or changed", "recreated or reset"),
    op.PlugTap: ("{o.tap} was on no bridge", "put on {o.bridge}"),
    op.SetUplink: ("uplink {o.uplink.device} was missing or down", "connected"),
    op.AddNamespace: ("namespace {o.namespace} was missing", "recreated with its contents"),
    op.SetSysctl: ("{o.path} had a wrong value", "set to {o.value}"),
    op.SetIptables: ("IPv{o.ip_version} iptables rules were missing or changed", "reloaded"),
    op.AddLink: ("{o.link.inner} was missing", "recreated with {o.link.outer} on {o.link.bridge}"),
    op.ChangeLink: (
        "{o.link.inner} or {o.link.outer} was down, unplugged or changed",
        "reset",
    ),
    op.AddAddress: (
        "{o.address.cidr} was missing on {o.address.device}",
        "added and announced",
    ),
    op.SetRoute: ("route {o.route.destination} was missing or changed", "set"),
    op.StartDnsmasq: (f"{DNSMASQ} was not running", "started"),
    op.RestartDnsmasq: (f"{DNSMASQ} had wrong arguments", "restarted"),
    op.ReloadDnsmasq: (f"{DNSMASQ} had wrong files", "rewritten and reloaded"),
    op.StartRadvd: (f"{RADVD} was not running", "started"),
    op.ReloadRadvd: (f"{RADVD} had a wrong file", "rewritten and reloaded"),
    op.OpenListener: ("listener {o.listener.key} was not served", "opened"),
}
