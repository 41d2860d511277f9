"""An agent killed at any step of any operation: its successor, or `a9fe clean`, ends the work."""

import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

from a9fe.linux import radvd
from a9fe.linux.dhcp import dnsmasq
from a9fe.linux.kernel import namespace, rtnetlink
from a9fe.linux.processes import process
from a9fe.linux.sweep import clean
from a9fe.plan import operations
from tests.kit.crash_plans import (
    OWNERS,
    STRANGER,
    UPLINK,
    VM_TAP,
    in_child,
    killed_at,
    passes,
    phases,
    reach,
    run_armed,
    settle,
)
from tests.kit.foreign_objects import ForeignObjects
from tests.kit.host_plans import BRIDGE
from tests.lab.places import MARK

KINDS = sorted(kind.__name__ for kind in get_args(operations.Operation))


@dataclass(frozen=True)
class Point:
    """A failpoint, and the number of the phase in which it is reached first."""

    phase: int
    text: str


class Scene:
    """A host, and the phases of our objects on it."""

    def __init__(self, state):
        self.state = state
        self.confs = f"{state}/dhcp"
        self.phases = phases(self.confs)
        self.as_planned = []  # what is seen after each phase without a kill

    def kill(self, point):
        """Let the agents be killed at a point on their way to its phase."""
        self.unplug()
        in_child(lambda: reach(self.confs, self.phases[point.phase - 1]))
        self.plug_before(point.phase)
        killed_at((point.text, self.work(point.phase)))

    def work(self, number, *owners):
        """The passes from the phase before to this one, of all agents or the given ones."""
        between = self.phases[number - 1 : number + 1]
        return lambda: passes(self.confs, *between, owners or OWNERS)

    def settle(self, number):
        """Bring the host from any state to a phase; check that it is as planned."""
        in_child(lambda: settle(self.confs, self.phases[number]))

    def plug_before(self, number):
        """Before a phase, a stranger plugs its device; before the last one, none is plugged."""
        if self.phases[number].name == "changed":
            run("ip", "link", "set", STRANGER, "master", BRIDGE.name)
        if number == len(self.phases) - 1:
            self.unplug()

    def unplug(self):
        for device in (VM_TAP, STRANGER):
            run("ip", "link", "set", device, "nomaster")

    def clean(self):
        self.unplug()
        clean(self.state, MARK)

    def seen(self):
        """Return what our objects are now, whatever their indexes and times."""
        names = os.listdir(self.confs) if os.path.isdir(self.confs) else []
        files = {path.name for name in names for path in Path(self.confs, name).iterdir()}
        daemons = (dnsmasq.DAEMON, radvd.DAEMON)
        pids = [p for p in process.all_pids() if any(d.directory_of(p) for d in daemons)]
        found = [process.command_line(pid) for pid in pids]
        home = {link.name for link in namespace.in_thread(rtnetlink.links)}
        return home, set(os.listdir(namespace.DIRECTORY)), files, sorted(found)


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def foreign():
    """Objects of others, with names and addresses like ours."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        found = ForeignObjects(directory)
        found.make()
        yield found
        found.remove()


@pytest.fixture(scope="module")
def scene(foreign):
    """A host with foreign objects, a VM's tap and a stranger's device."""
    base = tempfile.mkdtemp()
    os.chmod(base, 0o755)
    run("ip", "link", "add", UPLINK.device, "up", "type", "bridge")
    for device, peer in ((VM_TAP, "vm0"), (STRANGER, "stranger1")):
        run("ip", "link", "add", device, "up", "type", "veth", "peer", "name", peer)
    made = Scene(base)
    yield made
    made.clean()
    for device in (VM_TAP, STRANGER, UPLINK.device):
        run("ip", "link", "del", device)
    shutil.rmtree(base)


@pytest.fixture(scope="module")
def points(scene):
    """The points of each kind of operation, as a run without a kill reaches them."""
    found = defaultdict(dict)
    scene.as_planned.append(scene.seen())
    for number in range(1, len(scene.phases)):
        scene.plug_before(number)
        for text in recorded(scene.work(number)):
            found[text.partition(" ")[0].removesuffix("Rest")].setdefault(
                text, Point(number, text)
            )
        scene.settle(number)
        scene.as_planned.append(scene.seen())
    return {kind: thinned(list(of_kind.values())) for kind, of_kind in found.items()}


def thinned(points):
    """Of steps of the same kind in a row keep the first and the last; leave out the end.

    After the end of an operation the host is as before the next one.
    """
    kinds = [point.text.partition(" ")[2].partition(" ")[2] for point in points]
    around = zip(["", *kinds], kinds, [*kinds[1:], ""], strict=False)
    kept = [
        point
        for point, (before, kind, after) in zip(points, around, strict=True)
        if kind != "end" and not before == kind == after
    ]
    return kept or points


def recorded(work):
    """Return the points that `work` reaches in a child process."""
    with tempfile.TemporaryFile("w+") as file:

        def action(point):
            file.write(f"{point}\n")
            file.flush()

        assert run_armed(action, work) == 0
        file.seek(0)
        return file.read().splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_agent_ends_what_one_killed_at_any_step_began(scene, points, foreign, kind):
    assert points.get(kind), f"no phase of tests/kit/crash_plans.py has {kind}"
    for point in points[kind]:
        scene.kill(point)
        scene.settle(point.phase)
        assert scene.seen() == scene.as_planned[point.phase], point
    assert foreign.unchanged()


@pytest.mark.parametrize("kind", KINDS)
def test_clean_after_a_kill_at_any_step_leaves_nothing(scene, points, foreign, kind):
    for point in points[kind]:
        scene.kill(point)
        scene.clean()
        assert scene.seen() == scene.as_planned[0], point
    assert foreign.unchanged()


WHILE_BUILT = (
    ("AddNamespace", "AddLink"),
    ("AddLink", "AddNamespace"),
    ("StartDnsmasq", "SetIptables"),
)


@pytest.mark.parametrize(("dhcp", "l3"), WHILE_BUILT)
def test_agents_killed_at_once_while_the_network_is_built_deleted_or_made_again(
    scene, points, foreign, dhcp, l3
):
    """The next agents get the plan without the network, or another plan with the same ids."""
    ends = {owner: points[kind][-1].text for owner, kind in (("dhcp", dhcp), ("l3", l3))}
    for target in (0, *range(1, len(scene.phases) - 1, 2)):
        scene.unplug()
        in_child(lambda: reach(scene.confs, scene.phases[0]))
        killed_at(*((ends[owner], scene.work(1, owner)) for owner in OWNERS))
        scene.settle(target)
        assert scene.seen() == scene.as_planned[target]
    assert foreign.unchanged()
