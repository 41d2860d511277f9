"""`a9fe clouds-yaml`: configuration of OpenStack's clients for this server."""

import click

from a9fe.api_client.servers import servers
from a9fe.cli.flags import client_flags, settings

IMAGE_PATH = "/image"
COMPUTE_PATH = "/v2.1"


def document(cloud: str, url: str, token: str = "") -> str:
    """Return a clouds.yaml with one cloud that has no Keystone."""
    return f"""\
# For openstack and openstacksdk. Also set OS_IDENTITY_API_VERSION=3: some commands ask for it.
clouds:
  {cloud}:
{_auth(url, token)}\
    network_endpoint_override: {url}
    compute_endpoint_override: {url}{COMPUTE_PATH}
    image_endpoint_override: {url}{IMAGE_PATH}
"""


def _auth(url: str, token: str) -> str:
    if not token:
        return f"""\
    auth_type: none
    auth:
      endpoint: {url}
"""
    return f"""\
    auth_type: admin_token
    auth:
      endpoint: {url}
      token: {token}
    identity_endpoint_override: {url}
"""


@click.command("clouds-yaml")
@click.option(
    "--cloud", default="a9fe", show_default=True, metavar="NAME", help="Name of the cloud."
)
@client_flags
def clouds_yaml(cloud: str) -> None:
    """Print a clouds.yaml for `openstack` and openstacksdk.

    It contains the token of A9FE_AUTH_TOKEN, if that is set.

    \b
    a9fe clouds-yaml > clouds.yaml
    OS_CLOUD=a9fe OS_IDENTITY_API_VERSION=3 openstack server list
    """
    config = settings()
    url = servers(config.server_url)[0]  # clouds.yaml takes one URL
    click.echo(document(cloud, url, config.auth_token), nl=False)
