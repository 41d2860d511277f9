"""What an operator sees of a guest's request: a line of the access log, and the metrics."""

import re
from pathlib import Path

from tests.kit.conditions import eventually
from tests.kit.processes import metrics
from tests.lab.cloud import Cloud

PATH = "/latest/meta-data/ami-launch-index"


def test_a_request_is_logged_with_its_vm_and_timed_and_counted(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.isolated()).start("udhcpc")
    assert vm.reads_its_own()
    pattern = re.compile(rf" metadata-host info request .*\bpath={PATH} .*")

    def line() -> str:
        vm.fetch(PATH)
        found = [one for one in cloud.house.log.read_text().splitlines() if pattern.search(one)]
        return found[-1] if found else ""

    facts = dict(re.findall(r"(\w+)=(\S+)", eventually(line, what="a line")))
    port = cloud.house.api.list("ports", mac_address=vm.mac)[0]
    assert facts["port"] == port["id"]
    assert facts["instance"] == port["device_id"]
    assert facts["network"] == port["network_id"]
    assert facts["client_address"] == vm.address
    assert re.fullmatch("[0-9a-f]{12}", facts["request"])
    assert float(facts["ms"]) >= float(facts["render_ms"]) >= 0
    seen = metrics(Path("/run/a9fe/metadata-host.metrics.sock"))
    timed = r'a9fe_request_seconds_count{part="%s",process="metadata-host"} [1-9]'
    for part in ("whole", "queue", "identify", "render"):
        assert re.search(timed % part, seen), part
    assert re.search(r'a9fe_listeners{process="metadata-host"} [1-9]', seen)
    assert "a9fe_replica_lag_seconds 0.0" in seen
    assert "a9fe_replica_lag_revisions 0.0" in seen


def test_the_host_agents_have_metrics_of_their_feed(cloud: Cloud) -> None:
    for agent in ("l3-agent", "dhcp-agent"):
        path = Path(f"/run/a9fe/{agent}.metrics.sock")
        seen = eventually(lambda path=path: metrics(path), what=f"{agent} has metrics")
        assert "a9fe_replica_lag_revisions" in seen
