"""The replicas of a host's metadata agent and service on a full disk and after damage."""

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit.conditions import eventually
from tests.lab import hops
from tests.lab.disks import disk, open_directory
from tests.lab.hops import AGENT, SERVICE, Hops
from tests.lab.places import A9FE
from tests.lab.servers import DEADLINE, RunningServer, running_server

USER_DATA = "/latest/user-data"
LARGE = b"user data of the first " * 1000


@pytest.fixture
def directory() -> Iterator[Path]:
    """Make a directory that unprivileged users can search."""
    with open_directory("a9fe-replica-") as made:
        yield made


@contextmanager
def full(place: Path) -> Iterator[None]:
    """Fill the disk during the block."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    try:
        yield
    finally:
        filler.unlink()


def move_port(server: RunningServer, address: str, to: str) -> None:
    port = server.list("port", fixed_ips=f"ip_address={address}")[0]
    body = {"port": {"device_id": to}}
    answer = server.api.put(f"/v2.0/ports/{port['id']}", json=body)
    assert answer.status_code == 200, answer.text


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_on_a_full_disk_no_metadata_are_crossed_and_no_404_is_wrong(directory: Path):
    with (
        disk(directory / "small", 2) as small,
        running_server(directory, "") as server,
    ):
        network = hops.isolated(server, "10.1.0.0/16")
        first, address = hops.instance(server, network, user_data=encoded(LARGE))
        second, other = hops.instance(server, network)
        here = hops.beside(server, directory, small)
        with here.both(), here.guest(network, address) as guest:
            assert guest.who() == first
            with full(small):
                late, reused = swap(server, here, network, (first, address), (second, other))
                with here.guest(network, reused) as new:
                    eventually(lambda: new.who() == late, DEADLINE, "who came later")
                    answers = [guest.who() for _ in range(20)]
                    assert set(answers) <= {second, "503"}, answers
                    assert answers[-1] == second
                    assert new.get(USER_DATA).content == b"late"
                assert here.said(AGENT, "replica cannot be kept on disk") == 1
            for name in (AGENT, SERVICE):
                here.says(name, "kept on disk again")
            assert guest.who() == second
        server.process.kill()
        with here.both(until=hops.READY), here.guest(network, address) as guest:
            assert guest.who() == second


def swap(
    server: RunningServer,
    here: Hops,
    network: str,
    first: tuple[str, str],
    second: tuple[str, str],
) -> tuple[str, str]:
    """Give the first instance's port to the second, whose address a third gets; return it."""
    move_port(server, first[1], to=second[0])
    port = server.list("port", fixed_ips=f"ip_address={second[1]}")[0]
    assert server.api.delete(f"/v2.0/ports/{port['id']}").status_code == 204
    with here.guest(network, first[1]) as guest:
        seen = []
        eventually(lambda: seen.append(guest.who()) or seen[-1] == second[0], DEADLINE, "it")
        assert set(seen) <= {first[0], second[0], "503"}
    third, address = hops.instance(server, network, user_data=encoded(b"late"))
    if address != second[1]:
        port = server.list("port", device_id=third)[0]
        fixed = [{"ip_address": second[1]}]
        server.api.put(f"/v2.0/ports/{port['id']}", json={"port": {"fixed_ips": fixed}})
    return third, second[1]


def test_damaged_user_data_are_503_and_fetched_again(directory: Path):
    with running_server(directory, "") as server:
        network = hops.isolated(server, "10.1.0.0/16")
        _, address = hops.instance(server, network, user_data=encoded(LARGE))
        state = directory / "agents"
        here = hops.beside(server, directory, state)
        file = state / "replica-service" / "replica.db"
        with here.both(), here.guest(network, address) as guest:
            assert guest.get(USER_DATA).content == LARGE
        with here.both(), here.guest(network, address) as guest:  # nothing is cached
            damage(file)
            served(guest)
            assert here.said(SERVICE, "is damaged") >= 1
        damage(file)  # before the start
        with here.both(), here.guest(network, address) as guest:
            served(guest)


def damage(file: Path) -> None:
    """Overwrite user data in the file, and none of SQLite's own pages."""
    content, what = file.read_bytes(), LARGE[:200]
    assert what in content
    with file.open("r+b") as opened:
        opened.write(content.replace(what, b"#" * len(what)))


def served(guest: hops.Guest) -> list[int]:
    """Ask until the right user data come, and never others; return the statuses."""
    statuses: list[int] = []

    def right() -> bool:
        answer = guest.get(USER_DATA)
        statuses.append(answer.status_code)
        assert answer.status_code == 503 or answer.content == LARGE
        return answer.is_success

    eventually(right, DEADLINE, "user data")
    return statuses


def test_a_lost_database_changes_no_replica_until_the_operator_accepts_it(directory: Path):
    with running_server(directory, "") as server:
        network = hops.isolated(server, "10.1.0.0/16")
        id, address = hops.instance(server, network)
        here = hops.beside(server, directory, directory / "agents")
        with here.both(), here.guest(network, address) as guest:
            assert guest.who() == id
            server.process.kill()
            server.process.wait()
            for left in (directory / "state" / "server").iterdir():
                left.unlink()
            with running_server(directory, "", bind_port=server.url.rpartition(":")[2]) as empty:
                for name in (AGENT, SERVICE):
                    here.says(name, "server not followed")
                assert guest.who() == id
                with here.guest(network, "10.1.0.99") as stranger:
                    assert stranger.get().status_code == 503  # its content is unknown
                accept(here, directory)
                eventually(lambda: guest.who() == "404", DEADLINE, "the new database's word")
                assert empty.list("network") == []


def accept(here: hops.Hops, directory: Path) -> None:
    """Return the command that the log tells the operator to run."""
    said = here.log(AGENT).read_text()
    known = said.partition("a9fe db accept ")[2][:16]
    state = {"A9FE_STATE_PATH": f"{directory}/state", "A9FE_RUN_PATH": f"{directory}/run"}
    command = [str(A9FE), "db", "accept", known]
    subprocess.run(command, env={**os.environ, **state}, check=True)
