"""A killed process is restarted, no connection is refused, and nothing is left behind."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from pwd import getpwuid

import pytest

from a9fe.linux.processes.privileges import AGENT_CAPABILITIES, CAPABILITIES
from a9fe.linux.vms import guest
from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.cloud import Cloud, Vm
from tests.lab.house import READY, House

REFUSED = 7  # curl's exit status for a connection that could not be made


def ask_until_it_answers(vm: Vm) -> list[int]:
    """Fetch until there is an answer; return curl's exit statuses."""
    statuses: list[int] = []

    def answered() -> bool:
        done = vm.run("curl", "-sf", "-m", "10", "http://169.254.169.254/latest/meta-data/")
        statuses.append(done.returncode)
        return done.returncode == 0

    eventually(answered, 60, "an answer")
    return statuses


@pytest.mark.parametrize("kind", ["isolated", "routed"])
@pytest.mark.parametrize("process", ["metadata-host", "l3-agent", "dhcp-agent"])
def test_a_killed_process_is_restarted_and_no_connection_is_refused(
    cloud: Cloud, process: str, kind: str
) -> None:
    vm = cloud.vm(cloud.on(kind)).start("udhcpc")
    assert vm.reads_its_own()
    pid = cloud.house.kill_process(process)
    assert REFUSED not in ask_until_it_answers(vm)
    cloud.house.successor(process, pid)
    assert vm.reads_its_own()
    fresh = cloud.vm(cloud.isolated()).start("udhcpc")
    assert fresh.reads_its_own(), "what was killed does its work again"


def test_a_killed_fork_server_stops_nothing_and_processes_start_after_it(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.isolated()).start("udhcpc")
    before = {name: cloud.house.pids(name) for name in cloud.house.processes}
    cloud.house.kill_process("fork-server")
    assert {name: cloud.house.pids(name) for name in cloud.house.processes} == before
    first = cloud.house.hops[0]
    pid = cloud.house.kill_process(first)
    assert REFUSED not in ask_until_it_answers(vm)
    cloud.house.successor(first, pid)
    assert vm.reads_its_own()


def test_processes_have_their_users_and_capabilities_and_show_no_environment(house: House) -> None:
    found = {}
    for name in (*house.processes, "listener-holder"):
        (pid,) = house.pids(name)
        status = dict(
            re.findall(r"^(\w+):\s+(\S+)", Path(f"/proc/{pid}/status").read_text(), re.M)
        )
        found[name] = (getpwuid(int(status["Uid"])).pw_name, int(status["CapBnd"], 16))
        assert b"A9FE_STATE_PATH" not in Path(f"/proc/{pid}/environ").read_bytes()
    agents = sum(1 << CAPABILITIES[name] for name in AGENT_CAPABILITIES)
    assert found == {
        "server": ("a9fe", 0),
        "l3-agent": ("root", agents),
        "dhcp-agent": ("root", agents),
        "metadata-host": ("a9fe-proxy", 0),
        "listener-holder": ("a9fe-proxy", 0),
    }


class Asking:
    """Sends requests from a guest in a loop, each on a new connection."""

    SCRIPT = "while :; do curl -s -o /dev/null -m 60 http://169.254.169.254/latest/; echo $?; done"

    def __init__(self, vm: Vm) -> None:
        argv = guest.command(vm.name, ["sh", "-c", self.SCRIPT])
        self.output = os.memfd_create("asking")
        self.process = subprocess.Popen(argv, stdout=self.output, start_new_session=True)

    def __enter__(self) -> "Asking":
        eventually(lambda: self.statuses().count(0) > 3, what="answers")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.output)

    def statuses(self) -> list[int]:
        """Return the exit statuses of curl so far."""
        size = os.fstat(self.output).st_size
        return [int(word) for word in os.pread(self.output, size, 0).split()]


@pytest.mark.parametrize(("kind", "agent"), [("isolated", "dhcp-agent"), ("routed", "l3-agent")])
def test_proxy_and_agent_killed_together_refuse_nothing(
    cloud: Cloud, kind: str, agent: str
) -> None:
    vm = cloud.vm(cloud.on(kind)).start("udhcpc")
    with Asking(vm) as asking:
        killed = [cloud.house.kill_process(name) for name in (cloud.house.hops[0], agent)]
        before = len(asking.statuses())
        eventually(lambda: asking.statuses()[before:].count(0) > 3, 60, "answers again")
        assert REFUSED not in asking.statuses()
    for name in (cloud.house.hops[0], agent):
        eventually(lambda name=name: len(cloud.house.pids(name)) == 1, what=f"one {name}")
        assert not set(killed) & set(cloud.house.pids(name))
    assert vm.reads_its_own()


def test_up_killed_and_started_again_refuses_nothing_and_runs_nothing_twice(cloud: Cloud) -> None:
    house = cloud.house
    vms = [cloud.vm(cloud.on(kind)).start("udhcpc") for kind in ("isolated", "routed")]
    (holder,) = house.pids("listener-holder")
    with Asking(vms[0]) as first, Asking(vms[1]) as second:
        house.kill()
        eventually(
            lambda: not any(house.pids(name) for name in house.processes), what="all have ended"
        )
        before = [len(asking.statuses()) for asking in (first, second)]
        house.start()
        for asking, since in zip((first, second), before, strict=True):
            eventually(lambda a=asking, n=since: a.statuses()[n:].count(0) > 3, 60, "answers")
            assert REFUSED not in asking.statuses()
    assert house.pids("listener-holder") == [holder]
    for name in house.processes:
        assert len(house.pids(name)) == 1
    assert all(vm.reads_its_own() for vm in vms)
    os.kill(holder, signal.SIGKILL)
    house.successor("listener-holder", holder)
    assert all(vm.reads_its_own() for vm in vms)


def test_clean_after_up_was_killed_ends_what_survived_it(cloud: Cloud) -> None:
    cloud.isolated()
    assert cloud.house.pids("listener-holder")
    cloud.house.kill()
    eventually(
        lambda: not any(cloud.house.pids(name) for name in cloud.house.processes), what="ended"
    )
    assert cloud.house.pids("listener-holder")
    cloud.house.a9fe("clean")
    assert cloud.house.pids("listener-holder") == []
    assert host.namespaces() == set()


def test_vms_are_answered_while_the_server_is_down(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.isolated()).start("udhcpc")
    assert vm.fetch("/latest/meta-data/instance-id")
    (server,) = cloud.house.pids("server")
    os.kill(server, signal.SIGSTOP)
    try:
        assert vm.reads_its_own(), "also what it never asked before"
    finally:
        os.kill(server, signal.SIGCONT)


def test_the_agents_start_without_the_server(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.isolated()).start("udhcpc")
    (server,) = cloud.house.pids("server")
    os.kill(server, signal.SIGSTOP)
    try:
        for process in (*cloud.house.hops, "dhcp-agent"):
            cloud.house.kill_process(process)
        assert REFUSED not in ask_until_it_answers(vm)
        assert vm.reads_its_own()
    finally:
        os.kill(server, signal.SIGCONT)


def test_ctrl_c_keeps_the_network_and_the_next_up_takes_it_over(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.routed()).start("udhcpc")
    before = (host.namespaces(), host.our_links(), host.dnsmasqs())
    assert cloud.house.stop() == 0
    assert (host.namespaces(), host.our_links(), host.dnsmasqs()) == before
    names = (*cloud.house.processes, "listener-holder")
    assert [p for name in names for p in cloud.house.pids(name)] == []
    cloud.house.start()
    assert vm.reads_its_own()
    assert (host.namespaces(), host.our_links(), host.dnsmasqs()) == before


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (b"ruined " * 1000, "file is not a database"),
        (b"", "server not followed: its database has another id"),
    ],
)
def test_a_damaged_or_lost_database_removes_nothing_from_hosts(
    cloud: Cloud, found: bytes, said: str
) -> None:
    vm = cloud.vm(cloud.isolated()).start("udhcpc")
    assert vm.reads_its_own()
    before = (host.namespaces(), host.our_links(), host.dnsmasqs())
    cloud.house.stop()
    database = cloud.house.state / "server" / "a9fe.db"
    kept = database.rename(database.with_suffix(".kept"))
    if found:
        database.write_bytes(found)
    already = cloud.house.log.read_text().count(said)
    cloud.house.spawn()
    try:
        eventually(lambda: cloud.house.log.read_text().count(said) > already + 1, 60, said)
        eventually(lambda: REFUSED not in ask_until_it_answers(vm), 60, "no refusal")
        assert vm.reads_its_own()
        assert (host.namespaces(), host.our_links(), host.dnsmasqs()) == before
    finally:
        cloud.house.stop()
        for left in database.parent.glob("a9fe.db*"):
            left.unlink()
        kept.rename(database)
    cloud.house.start()
    assert vm.reads_its_own()
    assert (host.namespaces(), host.our_links(), host.dnsmasqs()) == before


def test_a_taken_port_of_the_server_is_tried_again_while_vms_are_served(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.isolated()).start("udhcpc")
    cloud.house.stop()
    with socket.create_server(("127.0.0.1", 9696)):
        cloud.house.spawn()
        eventually(lambda: REFUSED not in ask_until_it_answers(vm), 60, "no refusal")
        assert vm.reads_its_own()
    cloud.house.start()


def test_a_second_up_is_refused_with_the_pid_of_the_first(house: House) -> None:
    assert house.up is not None
    second = house.a9fe.run("up")
    assert second.returncode != 0
    assert re.search(rf"\b{house.up.pid}\b", second.stderr), second
    assert "Traceback" not in second.stderr
    assert house.ready()


def anything(house: House) -> bool:
    return True


def server_listens(house: House) -> bool:
    return bool(house.pids("server")) and "127.0.0.1:9696" in host.output("ss", "-Hlnt")


def agents_run(house: House) -> bool:
    return bool(house.pids("l3-agent") and house.pids("dhcp-agent"))


@pytest.mark.parametrize("moment", [anything, server_listens, agents_run, House.ready])
def test_sigkill_of_up_and_up_again_converges(
    cloud: Cloud, moment: Callable[[House], bool]
) -> None:
    house = cloud.house
    isolated, routed = cloud.isolated(), cloud.routed()
    vms = [cloud.vm(isolated).start("udhcpc"), cloud.vm(routed).start("udhcpc")]
    expected = (host.namespaces(), host.our_links(), len(host.dnsmasqs()))
    rules = router_rules(cloud)
    house.kill()
    house.spawn()
    eventually(lambda: moment(house), READY, moment.__name__)
    house.kill()
    house.start()
    assert all(ask_until_it_answers(vm) for vm in vms)
    assert all(vm.reads_its_own() for vm in vms)
    assert (host.namespaces(), host.our_links(), len(host.dnsmasqs())) == expected
    assert router_rules(cloud) == rules
    for process in house.processes:
        eventually(lambda name=process: len(house.pids(name)) == 1, what=f"one {process}")


def test_sigkill_while_a_network_is_built_or_removed_leaks_nothing(cloud: Cloud) -> None:
    house = cloud.house
    kept = cloud.isolated()
    expected = (host.namespaces(), host.our_links(), set(host.dnsmasqs()))
    doomed = cloud.network()
    house.kill()
    house.start()
    cloud.settled_isolated(doomed)
    house.a9fe("network", "delete", doomed)
    house.kill()
    house.start()
    cloud.settled_isolated(kept)
    eventually(
        lambda: (host.namespaces(), host.our_links(), set(host.dnsmasqs())) == expected,
        what="only the kept network is there",
    )


def router_rules(cloud: Cloud) -> list[str]:
    """Return the rules of every router namespace, without counters and comments."""
    spaces = [f"qrouter-{cloud.id('routers', name)}" for name in cloud.routers]
    saved = [host.within(space, "iptables-save") for space in spaces]
    lines = [line for text in saved for line in text.splitlines() if line[0] not in "#:"]
    assert any("REDIRECT" in line for line in lines)
    return lines
