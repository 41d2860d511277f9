"""What an operation says of a host that was as planned before: what was wrong, what was done."""

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
    """Of a namespace that was missing only that is said, not all that was in it.

    A bridge that goes is none: the last device has left that of a network that was deleted.
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
    """(what was wrong, what was done)."""
    found = DESCRIPTIONS.get(type(operation))
    if found is None:
        return f"{type(operation).__name__.removeprefix('Delete')} too much", "removed"
    wrong, done = found
    return wrong.format(o=operation), done.format(o=operation)


DNSMASQ = "dnsmasq of network {o.dnsmasq.network_id}"
# A deletion has no line here: it removes what is too much.
DESCRIPTIONS: dict[type, tuple[str, str]] = {
    op.SetPortSecurity: ("filters were missing or changed", "loaded again"),
    op.SetBridge: ("bridge {o.bridge.name} was missing, down or changed", "made as planned"),
    op.PlugTap: ("{o.tap} was on no bridge", "put on {o.bridge}"),
    op.AddNamespace: ("namespace {o.namespace} was missing", "made again with all in it"),
    op.SetSysctl: ("{o.path} had another value", "set to {o.value}"),
    op.SetIptables: ("iptables rules were missing or changed", "loaded again"),
    op.AddLink: ("{o.link.inner} was missing", "made again, {o.link.outer} on {o.link.bridge}"),
    op.ChangeLink: (
        "{o.link.inner} or {o.link.outer} was down, unplugged or changed",
        "set as planned",
    ),
    op.AddAddress: (
        "{o.address.cidr} was missing on {o.address.device}",
        "added and announced",
    ),
    op.SetRoute: ("route {o.route.destination} was missing or changed", "set again"),
    op.StartDnsmasq: (f"{DNSMASQ} was not running", "started"),
    op.RestartDnsmasq: (f"{DNSMASQ} had other arguments", "started again"),
    op.ReloadDnsmasq: (f"{DNSMASQ} had other files", "written and loaded again"),
    op.OpenListener: ("listener {o.listener.key} was not served", "opened"),
}
