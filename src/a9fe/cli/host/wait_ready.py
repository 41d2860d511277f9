"""`a9fe vm wait-ready`: wait until a VM's first metadata request would succeed."""

import os
import time

import click
import httpx

from a9fe.api_client import ApiClient
from a9fe.api_client.client import Document
from a9fe.cli.api import resource
from a9fe.cli.flags import settings, settings_flags
from a9fe.cli.output import TIMED_OUT
from a9fe.linux.processes import privileges
from a9fe.linux.vms import way_to_metadata
from a9fe.linux.vms.way_to_metadata import Way
from a9fe.model.resources import DHCP_OWNER, METADATA_PORT, ROUTER_INTERFACE_OWNERS
from a9fe.model.rules.addresses import STATEFUL
from a9fe.plan import ipv6, names
from a9fe.runtime.config import Config
from a9fe.wire import trusted

OK = 200
PROBE = trusted.PROBE.decode()  # requests with this header are not counted by `a9fe imds report`
DOCUMENT = "/openstack/latest/meta_data.json"
GIVEN_AT = "/latest/api/token"
TTL, SHOWN = "x-aws-ec2-metadata-token-ttl-seconds", "x-aws-ec2-metadata-token"
SERVING = ROUTER_INTERFACE_OWNERS | {DHCP_OWNER}
IPV4 = 4
LEASED = (None, STATEFUL)  # modes of subnets with leases; None also for IPv4
INTERVAL = 0.2  # s between two checks
AGENT_TIMEOUT = 5.0  # s for the metadata agent's answer


@click.command("wait-ready")
@click.argument("name")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=300.0,
    metavar="S",
    help="Give up after S seconds, with exit status 124.  [300]",
)
@settings_flags
@click.pass_context
def wait_ready(context: click.Context, name: str, timeout: float) -> None:
    """Wait until the first metadata request of the VM NAME would succeed.

    Run it as root on the VM's host. It checks the VM's tap (if it exists), DHCP entry and filters,
    and the address, redirect rule and listener of the namespace that serves the VM. Then it sends
    the VM's request to metadata_proxy_socket, as a metadata proxy does.

    \b
    a9fe vm wait-ready web1 && a9fe vm boot web1
    a9fe vm wait-ready web1 --timeout 30
    """
    privileges.require_root("a9fe vm wait-ready")
    config = settings(context)
    end = time.monotonic() + timeout
    said = ""
    with resource.connect() as api, _agent(config.metadata_proxy_socket) as agent:
        while reason := missing(api, agent, name) or unwired(api, config, name):
            if reason != said:
                click.echo(f"vm {name}: {reason}", err=True)
                said = reason
            if time.monotonic() > end:
                click.echo(f"vm {name}: not ready after {timeout:g} s: {reason}", err=True)
                context.exit(TIMED_OUT)
            time.sleep(INTERVAL)
    click.echo(f"vm {name}: ready")


def _agent(path: str) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=path)
    return httpx.Client(transport=transport, base_url="http://a9fe", timeout=AGENT_TIMEOUT)


def missing(api: ApiClient, agent: httpx.Client, name: str) -> str:
    """Return why the API or the agent makes the VM's first request fail; "" if they do not."""
    instance = api.find("instances", name)
    ports = [p for p in api.list("ports", device_id=instance["id"]) if p["fixed_ips"]]
    if not ports:
        return "waiting for a port with an address"
    reasons = (_missing_of(api, agent, port) for port in ports)
    return next((reason for reason in reasons if reason), "")


def unwired(api: ApiClient, config: Config, name: str) -> str:
    """Return the first missing kernel object on the way to metadata; "" if all exist."""
    instance = api.find("instances", name)
    for port in api.list("ports", device_id=instance["id"]):
        if not port["fixed_ips"]:
            continue
        way = _way(api, config, port)
        if isinstance(way, str):
            return way
        reason = way_to_metadata.lacking(way)
        if reason:
            return f"waiting: {reason}"
    return ""


def _way(api: ApiClient, config: Config, port: Document) -> Way | str:
    """Return the way through the router with the gateway address (IPv4) or with any IPv6 address
    (IPv6), else through this host's DHCP port. A text says why there is none yet.
    """
    fixed, network_id = port["fixed_ips"][0], port["network_id"]
    subnet = api.show("subnets", fixed["subnet_id"])
    others = api.list("ports", network_id=network_id)
    routers = (p for p in others if p["device_owner"] in ROUTER_INTERFACE_OWNERS)
    by, redirected = next((p for p in routers if _serves(p, subnet)), None), True
    if by is None:
        own = names.dhcp_device_id(config.host, network_id)
        by, redirected = next((p for p in others if p["device_id"] == own), None), False
        if by is None:
            return f"waiting for this host's DHCP port on network {network_id}"
        if not (config.enable_isolated_metadata or config.force_metadata):
            return f"network {network_id} has no router, and enable_isolated_metadata is off"
    dhcp = os.path.join(os.path.abspath(config.state_path), "dhcp", network_id)
    space, device = (
        (names.router_namespace(by["device_id"]), names.router_device(by["id"]))
        if redirected
        else (names.dhcp_namespace(network_id), names.dhcp_device(by["id"]))
    )
    own_address = _own_address(by, subnet)
    if not own_address:
        return f"waiting for an address of port {by['id']} on subnet {subnet['id']}"
    return Way(
        vm_port_id=port["id"],
        mac=port["mac_address"],
        address=fixed["ip_address"],
        network_id=network_id,
        port_id=by["id"],
        space=space,
        device=device,
        gateway=own_address,
        listen=config.metadata_port if redirected else METADATA_PORT,
        redirected=redirected,
        dhcp=dhcp if subnet["enable_dhcp"] and subnet["ipv6_address_mode"] in LEASED else "",
    )


def _serves(interface: Document, subnet: Document) -> bool:
    """Return whether a router interface serves the VMs of a subnet (plan.dhcp)."""
    if subnet["ip_version"] != IPV4:
        return any(":" in ip["ip_address"] for ip in interface["fixed_ips"])
    gateway = {"subnet_id": subnet["id"], "ip_address": subnet["gateway_ip"]}
    return gateway in interface["fixed_ips"]


def _own_address(port: Document, subnet: Document) -> str:
    """Return the address of a port of ours that its device has for the subnet, "" for none."""
    if subnet["ip_version"] != IPV4:
        return ipv6.link_local(port["mac_address"])
    own = (ip["ip_address"] for ip in port["fixed_ips"] if ip["subnet_id"] == subnet["id"])
    return next(own, "")


def _missing_of(api: ApiClient, agent: httpx.Client, port: Document) -> str:
    network_id = port["network_id"]
    serving = [p for p in api.list("ports", network_id=network_id) if p["device_owner"] in SERVING]
    if not serving:
        return f"waiting for a DHCP agent or a router on network {network_id}"
    down = [p for p in serving if p["status"] != "ACTIVE"]
    if down:
        return f"waiting for port {down[0]['id']} ({down[0]['device_owner']}) to be ACTIVE"
    address = port["fixed_ips"][0]["ip_address"]
    headers = {"x-forwarded-for": address, "x-neutron-network-id": network_id, PROBE: "1"}
    try:
        status = _status(agent, headers)
    except httpx.HTTPError as error:
        return f"waiting for the metadata agent: {error}"
    return "" if status == OK else f"waiting for metadata: {address} is answered {status}"


def _status(agent: httpx.Client, headers: dict[str, str]) -> int:
    """Return the status of the document, read with a token if the service issues one.

    A VM that requires tokens answers only requests that have one.
    """
    given = agent.put(GIVEN_AT, headers={**headers, TTL: "60"})
    if given.status_code == OK:
        headers = {**headers, SHOWN: given.text}
    return agent.get(DOCUMENT, headers=headers).status_code
