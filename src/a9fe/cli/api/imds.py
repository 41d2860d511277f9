"""`a9fe imds`: instances that still read metadata without a token."""

import click

from a9fe.api_client.client import Documents
from a9fe.cli.api import resource
from a9fe.cli.flags import client_flags
from a9fe.cli.output import print_json, print_table
from a9fe.model.rules.scheduling import timestamp
from a9fe.runtime.clock import SystemClock

HOUR = 3600  # seconds
COLUMNS = {
    "Name": "name",
    "ID": "instance_id",
    "Project": "project_id",
    "Requests without token": "v1_requests",
    "Last time": "v1_last_at",
    "Requests with token": "v2_requests",
    "Tokens": "http_tokens",
}


@click.group()
def imds() -> None:
    """Use of IMDSv2: VMs that still read metadata without a token.

    \b
    a9fe imds report
    """


@imds.command("report")
@click.option(
    "--hours",
    type=click.IntRange(1, 10 * 366 * 24),
    metavar="N",
    help="Only VMs with a request without a token in the last N hours.  [any time]",
)
@resource.json_flag
@client_flags
def report(*, hours: int | None, as_json: bool) -> None:
    """List VMs that send requests without tokens (IMDSv1), the latest first.

    The column Tokens is the VM's own http_tokens; empty means the option http_tokens applies.

    \b
    a9fe imds report
    a9fe imds report --hours 24 --json
    """
    with resource.connect() as api:
        found = api.call("GET", "/a9fe/v1/imds-usage").get("usage", [])
    since = timestamp(SystemClock().now() - hours * HOUR) if hours else ""
    chosen = of_version_1(found, since)
    if as_json:
        print_json(chosen)
    else:
        print_table(tuple(COLUMNS), [[one[name] for name in COLUMNS.values()] for one in chosen])


def of_version_1(usage: Documents, since: str) -> Documents:
    """Return the counts with a request without a token since `since` (ISO 8601 UTC), the latest
    first."""
    found = [one for one in usage if one["v1_requests"] and one["v1_last_at"] >= since]
    return sorted(found, key=lambda one: str(one["v1_last_at"]), reverse=True)
