"""The first request of a new instance, through real processes, is never a 404."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.kit.databases import running_postgres
from tests.lab import hops
from tests.lab.disks import open_directory
from tests.lab.servers import RunningServer, running_server

TIMES = 150  # and 1,000 by hand


def made_and_asked(server: RunningServer, here: hops.Hops, network: str, times: int) -> Counter:
    """Return the first answers of new instances: right, or another status."""
    first: Counter[str] = Counter()
    for _ in range(times):
        id, address = hops.instance(server, network)
        with here.guest(network, address) as guest:
            who = guest.who()
        first["right" if who == id else who] += 1
    return first


def test_the_first_request_of_a_new_instance_is_answered():
    with open_directory("a9fe-certain-") as place, running_server(place, "") as server:
        network = hops.isolated(server, "10.1.0.0/16")
        here = hops.beside(server, place, place / "agents")
        with here.both():
            assert made_and_asked(server, here, network, TIMES) == {"right": TIMES}
            with here.guest(network, "10.1.9.9") as stranger:
                assert stranger.get().status_code == 404
            server.process.kill()
            server.process.wait()
            with here.guest(network, "10.1.9.9") as stranger:
                assert stranger.get().status_code == 503


def test_the_same_with_an_instance_created_at_another_server(tmp_path: Path):
    with running_postgres() as cluster, ExitStack() as stack:
        database = cluster.fresh()
        one, other = (stack.enter_context(running_server(tmp_path, database)) for _ in "12")
        network = hops.isolated(one, "10.1.0.0/16")
        here = hops.beside(other, tmp_path, tmp_path / "agents")
        with here.both():
            assert made_and_asked(one, here, network, 50) == {"right": 50}
