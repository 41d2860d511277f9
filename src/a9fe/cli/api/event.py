"""`a9fe event`: scheduled events that operators announce, and guests' acknowledgements."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import click

from a9fe.api_client import ApiClient
from a9fe.api_client.client import Document, Documents
from a9fe.cli.api import resource
from a9fe.cli.flags import client_flags
from a9fe.cli.output import print_json, print_table
from a9fe.model.errors import A9feError
from a9fe.model.guest import EVENT_CODES

COLUMNS = (
    "VM",
    "Event",
    "Code",
    "Not before",
    "Not after",
    "State",
    "Acknowledged",
    "Description",
)
SHOWN = ("id", "code", "not_before", "not_after", "state", "acknowledged_at", "description")


@click.group()
def event() -> None:
    """Scheduled events: maintenance that is announced to guests.

    Guests read them at /openstack/latest/events and in EC2's events/maintenance.

    \b
    a9fe event create system-reboot --instance web1 --not-before 2026-11-29T02:00:00Z
    a9fe event list
    a9fe event complete instance-event-0d59937288b749b32
    """


@event.command("create")
@click.argument("code", type=click.Choice(EVENT_CODES))
@click.option("--instance", "names", multiple=True, metavar="NAME", help="VM; may be repeated.")
@click.option("--all-on-host", "host", metavar="HOST", help="Every VM with a port on HOST.")
@click.option("--description", default="", help="What will happen.")
@click.option("--not-before", metavar="TIME", help="When it begins, such as 2026-11-29T02:00:00Z.")
@click.option("--not-after", metavar="TIME", help="Latest time of its end.")
@resource.json_flag
@client_flags
def create(*, as_json: bool, names: tuple[str, ...], host: str | None, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Announce an event with EC2's CODE to VMs.

    \b
    a9fe event create system-reboot --instance web1 --not-before 2026-11-29T02:00:00Z
    a9fe event create system-maintenance --all-on-host node1 --description "a new kernel"
    """
    if bool(names) == (host is not None):
        raise click.UsageError("expected --instance or --all-on-host, not both")
    body = {"event": {name: value for name, value in given.items() if value}}
    with resource.connect() as api:
        chosen = _on_host(api, host) if host is not None else _named(api, names)
        made = [(vm, api.call("POST", _events(vm), body)["event"]) for vm in chosen]
    _print(made, as_json=as_json)


def _named(api: ApiClient, names: Iterable[str]) -> Documents:
    found = [api.find("instances", name) for name in names]
    return list({vm["id"]: vm for vm in found}.values())


def _on_host(api: ApiClient, host: str) -> Documents:
    devices = {port["device_id"] for port in api.list("ports", **{"binding:host_id": host})}
    found = [vm for vm in api.list("instances") if vm["id"] in devices]
    if not found:
        raise A9feError(f"--all-on-host: no VM has a port on {host!r}")
    return found


def _events(vm: Document) -> str:
    return f"/a9fe/v1/instances/{vm['id']}/events"


@event.command("list")
@click.option("--instance", "names", multiple=True, metavar="NAME", help="VM; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Also completed and canceled events.")
@resource.json_flag
@client_flags
def list_(*, names: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """List active events.

    \b
    a9fe event list
    a9fe event list --instance web1 --all --json
    """
    with resource.connect() as api:
        found = _known(api, _named(api, names) if names else None)
    _print([o for o in found if everything or o[1]["state"] == "active"], as_json=as_json)


def _known(api: ApiClient, vms: Documents | None = None) -> list[tuple[Document, Document]]:
    """Return (VM, event) pairs."""
    vms = api.list("instances") if vms is None else vms
    return [(vm, event) for vm in vms for event in vm["events"]]


def _print(found: list[tuple[Document, Document]], *, as_json: bool) -> None:
    if as_json:
        print_json([{**o, "instance_id": vm["id"], "instance": vm["name"]} for vm, o in found])
    else:
        print_table(COLUMNS, [(vm["name"], *(o[name] for name in SHOWN)) for vm, o in found])


def _end(ids: tuple[str, ...], state: str) -> None:
    with resource.connect() as api:
        of = {event["id"]: vm for vm, event in _known(api)}
        unknown = [id for id in ids if id not in of]
        if unknown:
            raise A9feError(f"event {unknown[0]}: no VM has this event")
        for id in ids:
            path = f"{_events(of[id])}/{quote(id, safe='')}"
            api.call("PUT", path, {"event": {"state": state}})
            click.echo(f"event {id}: {state}")


@event.command("complete")
@click.argument("ids", nargs=-1, required=True)
@client_flags
def complete(ids: tuple[str, ...]) -> None:
    """Mark the events IDS as completed.

    \b
    a9fe event complete instance-event-0d59937288b749b32
    """
    _end(ids, "completed")


@event.command("cancel")
@click.argument("ids", nargs=-1, required=True)
@client_flags
def cancel(ids: tuple[str, ...]) -> None:
    """Cancel the events IDS.

    \b
    a9fe event cancel instance-event-0d59937288b749b32
    """
    _end(ids, "canceled")
