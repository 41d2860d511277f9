"""Debian's cloud-init in a guest."""

import json
import subprocess
from typing import Any

from a9fe.plan.names import guest_namespace
from tests.lab.cloud import Cloud, Vm
from tests.lab.places import CLOUD_INIT, ROOT


def crawl(vm: Vm, source: str, *metadata_urls: str) -> Any:
    script = str(ROOT / "tests/lab/datasource.py")
    python = ("env", f"PYTHONPATH={CLOUD_INIT}", "/usr/bin/python3")
    return json.loads(vm.sh(*python, script, source, *metadata_urls))


def second_card(cloud: Cloud, vm: Vm, network: str) -> dict[str, Any]:
    """Add a network card for the VM's port on its second network; return the port."""
    wanted = {"device_id": vm.instance["id"], "network_id": cloud.id("networks", network)}
    (port,) = cloud.house.api.list("ports", **wanted)
    space, outer = guest_namespace(vm.name), f"tap{port['id'][:11]}"
    peer = ("peer", "name", "eth1", "address", port["mac_address"], "netns", space)
    bridge = f"brq{port['network_id'][:11]}"
    for command in (
        ("ip", "link", "add", outer, "type", "veth", *peer),
        ("ip", "link", "set", outer, "master", bridge, "up"),
    ):
        subprocess.run(command, check=True, timeout=30)
    vm.sh("ip", "link", "set", "eth1", "up")
    return dict(port)
