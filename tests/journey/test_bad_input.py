"""Each bad input gives one clear line and the right exit status, and changes nothing."""

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import host
from tests.lab.cloud import Cloud
from tests.lab.command import Command
from tests.lab.house import House
from tests.lab.places import A9FE

FAILED, USAGE = 1, 2
COLLECTIONS = ("networks", "subnets", "ports", "routers", "instances")


@dataclass(frozen=True)
class Bad:
    """A command, and what its one line must contain; {net} and {taken} are replaced."""

    typed: str
    says: tuple[str, ...]
    status: int = FAILED


CASES = {
    "malformed CIDR": Bad("network create bad --subnet 10.1.0/24x", ("cidr", "10.1.0/24x")),
    "gateway outside its subnet": Bad(
        "network create bad --subnet 10.8.0.0/24 --gateway 10.9.0.1", ("gateway", "10.9.0.1")
    ),
    "overlapping subnets": Bad("subnet create {net} 10.1.0.128/25", ("10.1.0.128/25", "overlap")),
    "address outside its subnet": Bad(
        "vm create bad --network {net} --fixed-ip 10.2.0.5", ("10.2.0.5",)
    ),
    "address taken": Bad("vm create bad --network {net} --fixed-ip {taken}", ("{taken}",)),
    "port's address outside its subnet": Bad(
        "port create {net} --fixed-ip 192.0.2.1", ("192.0.2.1",)
    ),
    "port's MAC malformed": Bad("port create {net} --mac zz:zz", ("mac", "zz:zz")),
    "unknown network": Bad("network show nowhere", ("network", "nowhere")),
    "unknown network of a VM": Bad("vm create bad --network nowhere", ("nowhere",)),
    "unknown router": Bad("router add-interface nowhere {net}", ("router", "nowhere")),
    "unknown port": Bad("port show 00000000-0000-0000-0000-000000000000", ("port", "0000")),
    "unknown guest": Bad("guest stop nobody", ("guest", "nobody")),
    "unknown VM of a guest": Bad("guest start nobody", ("nobody",)),
    "unknown VM to boot": Bad("vm boot nobody", ("nobody",)),
    "network in use": Bad("network delete {net}", ("{net_id}", "use")),
    "unknown agent": Bad("agent network-remove nowhere {net}", ("agent", "nowhere")),
    "unreadable key": Bad(
        "vm create bad --network {net} --ssh-key /nonexistent.pub", ("ssh-key", "/nonexistent.pub")
    ),
    "user data too large": Bad(
        "vm create bad --network {net} --user-data {large}", ("user-data", "{large}", "bytes")
    ),
    "no such command": Bad("netwrok list", ("netwrok",), USAGE),
    "no such client": Bad("guest start x --client dhcp9000", ("dhcp9000", "dhclient"), USAGE),
    "no such kernel": Bad("vm boot {vm} --kernel /nonexistent", ("kernel", "/nonexistent")),
    "nobody answers": Bad(
        "network list --server-url http://127.0.0.1:9", ("http://127.0.0.1:9", "a9fe up")
    ),
    "port that is no number": Bad("config --bind-port high", ("bind_port", "high")),
}


@dataclass(frozen=True)
class Scene:
    """The resources before each case, and the values for the cases' placeholders."""

    house: House
    words: dict[str, str]


@pytest.fixture(scope="module")
def scene(running_house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    running_house.start()
    cloud = Cloud(house=running_house)
    vm = cloud.vm(network := cloud.isolated())
    large = tmp_path_factory.mktemp("bad") / "large"
    large.write_bytes(b"x" * 50_000)
    words = {
        "net": network,
        "net_id": cloud.id("networks", network),
        "taken": vm.address,
        "vm": vm.name,
        "large": str(large),
    }
    yield Scene(running_house, words)
    cloud.clear()


def everything(house: House) -> list[object]:
    listed = [house.api.list(collection) for collection in COLLECTIONS]
    return [*listed, host.our_links(), host.namespaces()]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_one_line_and_nothing_changes(scene: Scene, case: Bad) -> None:
    before = everything(scene.house)
    done = scene.house.a9fe.run(*case.typed.format(**scene.words).split())
    assert_one_line(done, case.status, *(text.format(**scene.words) for text in case.says))
    assert everything(scene.house) == before


def assert_one_line(done: "subprocess.CompletedProcess[str]", status: int, *says: str) -> None:
    assert done.returncode == status, done
    (line,) = done.stderr.strip().splitlines()
    assert "defect" not in line
    assert done.stdout == ""
    for text in says:
        assert text.lower() in line.lower(), line


# ---- `a9fe up` itself, on state directories of its own ---------------------------------------


def up(variables: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return Command(variables=variables).run("up", *arguments)


@pytest.fixture
def state(house: House) -> Iterator[dict[str, str]]:
    """Yield variables for a second installation; its users can search the directory."""
    with tempfile.TemporaryDirectory(dir="/run") as work:
        Path(work).chmod(0o755)
        yield {"A9FE_STATE_PATH": f"{work}/state", "A9FE_RUN_PATH": f"{work}/run"}


def test_a_taken_port(state: dict[str, str]) -> None:
    done = up(state)
    assert done.returncode == FAILED
    assert "Traceback" not in done.stderr
    assert "9696" in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bind_prot = 9697", ("bind_prot", "bind_port")),
        ("bind_port = 'many'", ("bind_port", "many")),
        ("bind_port = ", ("a9fe.toml",)),
    ],
)
def test_a_mistyped_configuration(
    state: dict[str, str], tmp_path: Path, text: str, says: tuple[str, ...]
) -> None:
    file = tmp_path / "a9fe.toml"
    file.write_text(text)
    assert_one_line(up(state, "--config-file", str(file)), FAILED, *says)


def test_an_unreadable_configuration(state: dict[str, str], tmp_path: Path) -> None:
    done = up(state, "--config-file", str(tmp_path / "nowhere.toml"))
    assert_one_line(done, FAILED, "nowhere.toml")


def test_a_mistyped_variable(state: dict[str, str]) -> None:
    done = up({**state, "A9FE_BIND_PROT": "1"})
    assert_one_line(done, FAILED, "A9FE_BIND_PROT", "bind_port")


def test_a_broken_state_directory(state: dict[str, str]) -> None:
    Path(state["A9FE_STATE_PATH"]).write_text("a file")
    assert_one_line(up(state), FAILED, state["A9FE_STATE_PATH"])


def test_a_broken_database(state: dict[str, str]) -> None:
    directory = Path(state["A9FE_STATE_PATH"])
    directory.mkdir()
    directory.chmod(0o755)
    (directory / "server").mkdir()
    (directory / "server" / "a9fe.db").write_bytes(b"this is no database" * 100)
    done = up({**state, "A9FE_BIND_PORT": "9796", "A9FE_METADATA_LISTEN_PORT": "8875"})
    assert done.returncode == FAILED
    assert "Traceback" not in done.stderr
    assert "a9fe.db" in done.stderr


@pytest.mark.parametrize("typed", [["up"], ["clean"], ["guest", "list"], ["vm", "boot", "x"]])
def test_not_root(house: House, typed: list[str]) -> None:
    """In a user namespace without a mapping the user is nobody, who can read the checkout."""
    assert_one_line(house.a9fe.other("unshare", "--user", str(A9FE), *typed), FAILED, "root")


@pytest.mark.parametrize(
    ("program", "package", "typed"),
    [
        ("/usr/sbin/dhclient", "isc-dhcp-client", "guest start x"),
        ("/usr/bin/qemu-system-x86_64", "qemu-system-x86", "vm boot x"),
    ],
)
def test_a_missing_program_names_its_package(
    house: House, program: str, package: str, typed: str
) -> None:
    hidden = f"mount --bind /dev/null {program}; exec {A9FE} {typed}"
    done = house.a9fe.other("unshare", "--mount", "sh", "-ec", hidden)
    assert_one_line(done, FAILED, program.rpartition("/")[2], package)
