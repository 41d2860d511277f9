"""Views of instances are kept as long as all that they read is unchanged."""

from dataclasses import replace

import pytest

from a9fe.metadata import tree
from a9fe.metadata.document_signer import DocumentSigner, Signatures
from a9fe.metadata.instance_view import InstanceView, Settings, view_of
from a9fe.metadata_service.kept_views import KeptView, KeptViews, Page
from a9fe.model.resources import Resource, SecurityGroup
from a9fe.replica import Replica
from tests.golden.metadata.scenarios import INSTANCE_ID, zeros
from tests.kit.feed_events import NOW, delete, feed, plain, snapshot, upsert
from tests.kit.service_world import OTHER_ID, RESOURCES, VIEW

PORT = VIEW.ports[0]
NETWORK = VIEW.networks[PORT.network_id]
SUBNET = next(iter(VIEW.subnets.values()))
GROUP = SecurityGroup(id=PORT.security_groups[0], name="default")
OTHER = replace(VIEW.instance, id=OTHER_ID)


def replica() -> Replica:
    made = Replica()
    feed(made, *snapshot(1, *RESOURCES, GROUP, OTHER))
    return made


def view(replica: Replica, id: str = INSTANCE_ID) -> InstanceView:
    known = replica.instance(id)
    assert known is not None
    found = view_of(replica, known, Settings(), zeros)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "changed",
    [
        replace(VIEW.instance, name="renamed"),
        replace(VIEW.instance, user_data=b"changed"),
        replace(PORT, mac_address="fa:16:3e:00:00:99"),
        replace(PORT, device_id=OTHER_ID),
        replace(PORT, id="another-port"),
        replace(NETWORK, mtu=1400),
        replace(SUBNET, gateway_ip="10.1.0.254"),
        replace(GROUP, name="renamed"),
    ],
)
def test_a_change_of_what_a_view_reads_removes_it(changed: Resource):
    source = replica()
    views = KeptViews(source)
    kept = views.keep(view(source))
    assert views.get(INSTANCE_ID) is kept
    feed(source, upsert(2, changed))
    assert views.get(INSTANCE_ID) is None
    assert source.watched == 0


def test_a_deleted_port_removes_the_view_and_other_changes_do_not():
    source = replica()
    views = KeptViews(source)
    for id in (INSTANCE_ID, OTHER_ID):
        views.keep(view(source, id))
    feed(source, upsert(2, replace(OTHER, name="renamed")))
    assert views.get(INSTANCE_ID) is not None
    feed(source, delete(3, "port", PORT.id))
    assert (views.get(INSTANCE_ID), len(views), source.watched) == (None, 0, 0)


def test_a_snapshot_removes_all():
    """Revisions may have another meaning, and user data is not compared."""
    source = replica()
    views = KeptViews(source)
    views.keep(view(source))
    source.lost(NOW)
    feed(source, plain("hello", 9), *snapshot(9, *RESOURCES, GROUP, OTHER))
    assert (len(views), source.watched) == (0, 0)


def test_the_least_recently_used_view_makes_room():
    source = replica()
    views = KeptViews(source, most=1)
    views.keep(view(source))
    views.keep(view(source, OTHER_ID))
    assert views.get(INSTANCE_ID) is None
    assert views.get(OTHER_ID) is not None


def never_signs(_: bytes) -> Signatures:
    raise AssertionError("nothing is signed here")


def read(views: KeptViews, source: Replica, path: str, **changes: object) -> KeptView:
    """Keep a view and a page of it."""
    kept = views.keep(replace(view(source), **changes))
    place = tree.find(kept.view, path)
    assert place is not None
    views.keep_page(kept, path, Page(place, tree.unfinished(place)))
    return kept


def test_pages_have_new_random_parts_each_time():
    given = iter((b"a", b"b"))
    source = replica()
    path = "/openstack/latest/meta_data.json"
    kept = read(KeptViews(source), source, path, random_bytes=lambda n: next(given) * n)
    first, second = (kept.pages[path].finished() for _ in range(2))
    assert first.body != second.body
    assert first.etag == second.etag


@pytest.mark.parametrize("path", ["instance-identity/document", ""])
def test_pages_that_depend_on_more_than_the_view_are_not_kept(path: str):
    """Whether there is a key to sign with."""
    source = replica()
    signer = DocumentSigner(architecture="x86_64", ready=lambda: True, sign=never_signs)
    settings = Settings(identity=signer)
    assert (
        read(KeptViews(source), source, f"/latest/dynamic/{path}", settings=settings).pages == {}
    )


def test_the_bytes_of_pages_are_bounded():
    source = replica()
    views = KeptViews(source, page_bytes=1000)
    read(views, source, "/latest/user-data", read_user_data=lambda: bytes(1000))
    assert (len(views), views.size) == (1, 1000)
    read(views, source, "/latest/user-data", read_user_data=lambda: bytes(1001))
    assert (len(views), views.size) == (0, 0)
