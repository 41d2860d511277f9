"""Instances whose whole trees are committed as text, and the crawl that writes them.

Renew with `A9FE_UPDATE_GOLDEN=1 .venv/bin/pytest tests/unit/metadata/test_tree_golden.py`.
"""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby

from a9fe.metadata import tree
from a9fe.metadata.instance_view import InstanceView, Settings
from a9fe.metadata.rendered import JSON, Rendered
from a9fe.metadata.table import LATEST
from a9fe.model.guest import InjectedFile, ScheduledEvent
from a9fe.model.resources import FixedIp, HostRoute, Instance, Keypair, Network, Port, Subnet
from a9fe.model.user_data import loaded

INSTANCE_ID = "3e7a1b52-0c4d-4f1e-9a55-8a1d2f6b7c01"
PROJECT = "8f0c7d6e5b4a39281706f5e4d3c2b1a0"
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ anna@laptop"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def zeros(count: int) -> bytes:
    return bytes(count)


def network(number: int, **changes: object) -> Network:
    return replace(Network(id=f"{number:08x}-aaaa-4aaa-8aaa-000000000001"), **changes)


def subnet(number: int, on: Network, cidr: str, **changes: object) -> Subnet:
    found = Subnet(id=f"{number:08x}-bbbb-4bbb-8bbb-000000000002", network_id=on.id, cidr=cidr)
    return replace(found, **changes)


def port(number: int, on: Network, *fixed: tuple[Subnet, str], **changes: object) -> Port:
    found = Port(
        id=f"{number:08x}-cccc-4ccc-8ccc-000000000003",
        network_id=on.id,
        mac_address=f"fa:16:3e:00:00:{number:02x}",
        project_id=PROJECT,
        device_id=INSTANCE_ID,
        device_owner="compute:nova",
        fixed_ips=tuple(FixedIp(subnet_id=s.id, ip_address=ip) for s, ip in fixed),
    )
    return replace(found, **changes)


def view(
    instance: Instance,
    ports: tuple[Port, ...] = (),
    networks: tuple[Network, ...] = (),
    subnets: tuple[Subnet, ...] = (),
    settings: Settings | None = None,
) -> InstanceView:
    return InstanceView(
        instance=instance,
        ports=ports,
        networks={n.id: n for n in networks},
        subnets={s.id: s for s in subnets},
        random_bytes=zeros,
        settings=settings or Settings(),
        groups={id: id for p in ports for id in p.security_groups},
        read_user_data=loaded(instance).read_user_data,
    )


def one_card() -> InstanceView:
    """One card on a subnet with DHCP, a key, user data as text, metadata."""
    lan = network(1, mtu=1450)
    v4 = subnet(
        1,
        lan,
        "10.1.0.0/24",
        gateway_ip="10.1.0.1",
        dns_nameservers=("9.9.9.9", "10.1.0.2"),
        host_routes=(HostRoute(destination="192.0.2.0/24", nexthop="10.1.0.9"),),
    )
    web1 = Instance(
        id=INSTANCE_ID,
        name="Web_1 (Süd)",
        number=42,
        project_id=PROJECT,
        user_data=b"#cloud-config\npackages: [nginx]\n",
        keypairs=(Keypair(name="anna", public_key=RSA),),
        metadata={"role": "web", "tier": "1"},
        availability_zone="zone-b",
        flavor="m1.small",
        image="debian-12",
    )
    card = port(1, lan, (v4, "10.1.0.7"), security_groups=("default",))
    return view(web1, (card,), (lan,), (v4,))


def several_cards() -> InstanceView:
    """A static card, one with DHCP and SLAAC, one with DHCPv6 alone; two keys; binary data."""
    one, two, three = network(1), network(2, mtu=9000), network(3, mtu=0)
    static = subnet(
        1,
        one,
        "10.0.0.0/22",
        enable_dhcp=False,
        gateway_ip="10.0.0.1",
        dns_nameservers=("10.0.0.53", "1.1.1.1"),
        host_routes=(HostRoute(destination="172.16.0.0/12", nexthop="10.0.0.2"),),
    )
    static6 = subnet(2, one, "2001:db8:1::/64", ip_version=6, gateway_ip="2001:db8:1::1")
    dhcp = subnet(3, two, "10.2.0.0/24", dns_nameservers=("1.1.1.1",))
    slaac = subnet(4, two, "2001:db8:2::/64", ip_version=6, ipv6_address_mode="slaac")
    stateful = subnet(
        5, three, "2001:db8:3::/64", ip_version=6, ipv6_address_mode="dhcpv6-stateful"
    )
    ports = (
        port(1, one, (static, "10.0.0.5"), (static6, "2001:db8:1::5"), security_groups=("a", "b")),
        port(2, two, (slaac, "2001:db8:2::5"), (dhcp, "10.2.0.5"), security_groups=("a",)),
        port(3, three, (stateful, "2001:db8:3::5"), security_groups=("c", "a")),
    )
    instance = Instance(
        id=INSTANCE_ID,
        name="db.example.org",
        number=0x1234,
        project_id=PROJECT,
        user_data=b"\x1f\x8b\x08\x00\xff\xfe\x00",
        keypairs=(
            Keypair(name="anna", public_key=RSA),
            Keypair(name="win dows", public_key=CERTIFICATE, type="x509"),
        ),
        flavor="m1.large",
        launch_index=3,
    )
    vendordata = {"cloud-init": "#cloud-config\nlocale: de_DE\n"}
    return view(
        instance,
        ports,
        (one, two, three),
        (static, static6, dhcp, slaac, stateful),
        Settings(dhcp_domain="cloud.example", vendordata=vendordata),
    )


def bare() -> InstanceView:
    """Only a name, without any letter that a host name may have, and empty user data."""
    instance = Instance(id=INSTANCE_ID, name="日本", user_data=b"")
    return view(instance, settings=Settings(dhcp_domain=""))


def announced() -> InstanceView:
    """What else an instance can have: files, tags, events, a password, IPv6 only."""
    lan = network(4)
    v6 = subnet(6, lan, "2001:db8:4::/64", ip_version=6, ipv6_address_mode="slaac")
    second = subnet(7, lan, "2001:db8:5::/64", ip_version=6)
    cards = (
        port(4, lan, (v6, "2001:db8:4::7"), (second, "2001:db8:5::7")),
        port(5, lan),
        port(6, lan, (v6, "2001:db8:4::8"), mac_address="fa:16:3e:00:00:04"),
    )
    instance = Instance(
        id=INSTANCE_ID,
        name="web2",
        number=43,
        metadata={"role": "web", "Name:1": "", "a b": "c", "d/e": "f", "0=x": "g", "..": "h"},
        files=(
            InjectedFile(path="/etc/motd", content=b"hello\n"),
            InjectedFile(path="/root/key", content=b"\x00\xff"),
        ),
        nic_tags={cards[0].id: "blue", cards[2].id: "red"},
        password="c2VjcmV0",
        events=(
            ScheduledEvent(
                id="instance-event-0d59937288b749b32",
                code="system-reboot",
                description="scheduled reboot",
                not_before="2026-12-01T09:00:43Z",
                not_after="2026-12-01T09:17:23Z",
                acknowledged_at="2026-11-30T10:00:00+02:00",
            ),
            ScheduledEvent(id="e2", code="instance-stop", description="full", state="completed"),
            ScheduledEvent(id="e3", code="instance-reboot", state="canceled"),
        ),
    )
    return view(instance, cards, (lan,), (v6, second))


SCENARIOS: dict[str, Callable[[], InstanceView]] = {
    "one_card": one_card,
    "several_cards": several_cards,
    "bare": bare,
    "announced": announced,
}

Fetch = Callable[[str], Rendered | None]


def crawl(fetch: Fetch, path: str) -> Iterator[tuple[str, Rendered]]:
    """Yield `path` and everything below it, found by the lines of listings."""
    yield path, found(fetch, path)
    for line in listed(fetch, path):
        for name in children(line):
            below = f"{path.rstrip('/')}/{name}"
            if name.endswith("/"):
                yield from crawl(fetch, below)
            else:
                yield below, found(fetch, below)


def listed(fetch: Fetch, path: str) -> list[str]:
    return found(fetch, path).body.decode().splitlines()


def children(line: str) -> list[str]:
    """A line names a leaf, a directory (`/`), or, as `0=key`, the directory of a key pair."""
    index, named, _ = line.partition("=")
    return [f"{index}/"] if named else [line]


def found(fetch: Fetch, path: str) -> Rendered:
    rendered = fetch(path)
    assert rendered is not None, f"{path} is listed and not served"
    return rendered


PREFIXES = {"ec2": "/", "openstack": "/openstack/"}


def golden(of: InstanceView) -> str:
    """Return the whole tree as text; equal leaves of successive versions appear once."""

    def fetch(path: str) -> Rendered | None:
        return tree.render(of, path)

    return "\n".join(
        block
        for family in tree.FAMILIES.values()
        for block in _family(fetch, PREFIXES[family.name], (*family.versions, LATEST))
    )


def _family(fetch: Fetch, prefix: str, versions: tuple[str, ...]) -> Iterator[str]:
    yield _block(prefix, found(fetch, prefix))
    everything: dict[str, dict[str, Rendered]] = {}
    for version in versions:
        root = f"{prefix}{version}"
        for path, rendered in crawl(fetch, root):
            everything.setdefault(path.removeprefix(root), {})[version] = rendered
    for path in sorted(everything):
        for at, rendered in _runs(everything[path], versions):
            yield _block(f"{prefix}<{at}>{path}", rendered)


def _runs(at: dict[str, Rendered], versions: tuple[str, ...]) -> Iterator[tuple[str, Rendered]]:
    for rendered, run in groupby(versions, at.get):
        run_of = list(run)
        if rendered is not None:
            yield run_of[0] if len(run_of) == 1 else f"{run_of[0]} .. {run_of[-1]}", rendered


def _block(path: str, rendered: Rendered) -> str:
    lines = _readable(rendered).split("\n")
    body = "".join(f"    {line}".rstrip() + "\n" for line in lines)
    return f"== {path} ({rendered.content_type.decode()})\n{body}"


def _readable(rendered: Rendered) -> str:
    if rendered.body[:1] in (b"{", b"["):
        return json.dumps(_shortened(json.loads(rendered.body)), indent=2)
    try:
        text = rendered.body.decode()
    except UnicodeDecodeError:
        return f"bytes in base64: {base64.b64encode(rendered.body).decode()}"
    return text if rendered.content_type != JSON else f"JSON: {text}"


def _shortened(document: object) -> object:
    if isinstance(document, dict) and "random_seed" in document:
        seed = base64.b64decode(document["random_seed"], validate=True)
        return document | {"random_seed": f"<{len(seed)} bytes>"}
    return document
