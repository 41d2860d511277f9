"""`a9fe clouds-yaml`: what `openstack` and the SDK need to know of this server."""

import click

from a9fe.cli.flags import client_flags, settings

IMAGE_PATH = "/image"
COMPUTE_PATH = "/v2.1"


def document(cloud: str, url: str) -> str:
    """A clouds.yaml of one cloud without Keystone."""
    return f"""\
# For openstack and openstacksdk. Also set OS_IDENTITY_API_VERSION=3: some commands ask for it.
clouds:
  {cloud}:
    auth_type: none
    auth:
      endpoint: {url}
    network_endpoint_override: {url}
    compute_endpoint_override: {url}{COMPUTE_PATH}
    image_endpoint_override: {url}{IMAGE_PATH}
"""


@click.command("clouds-yaml")
@click.option("--cloud", default="a9fe", show_default=True, metavar="NAME", help="Name in it.")
@client_flags
def clouds_yaml(cloud: str) -> None:
    """Print a clouds.yaml for `openstack` and openstacksdk.

    \b
    a9fe clouds-yaml > clouds.yaml
    OS_CLOUD=a9fe OS_IDENTITY_API_VERSION=3 openstack server list
    """
    click.echo(document(cloud, settings().server_url.rstrip("/")), nl=False)
