"""For any instance and any path: no exception, and every listed path is served."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from a9fe.metadata import identifiers, tree
from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.rendered import Rendered
from a9fe.metadata.table import LATEST
from a9fe.model.resources import Instance
from tests.golden.metadata.scenarios import INSTANCE_ID, crawl, several_cards
from tests.kit.strategies import anything, roots, views

OF = several_cards()
KNOWN = sorted(
    {
        part
        for root in ("/latest", "/openstack/latest", "/openstack")
        for path, _ in crawl(lambda asked: tree.render(OF, asked), root)
        for part in path.split("/")
    }
    | {"ec2", "2009-04-04", "1.0", "{index}", "{device}", ".", "..", "%2F", "%00", "%2e", "\0"}
)
paths = st.lists(st.sampled_from(KNOWN) | st.text(max_size=5), max_size=8).map(
    lambda parts: "/" + "/".join(parts)
) | st.text(max_size=40)


@given(paths)
@settings(max_examples=200)
def test_any_path_is_served_or_missing(path: str):
    rendered = tree.render(OF, path)
    assert rendered is None or isinstance(rendered, Rendered)


@given(views, roots)
@settings(max_examples=150)
def test_every_listed_path_is_served_for_any_instance(of: InstanceView, root: str):
    for path, rendered in crawl(lambda asked: tree.render(of, asked), root):
        if path.endswith(".json"):
            json.loads(rendered.body)


@given(views, st.sampled_from([*tree.OPENSTACK.versions]))
@settings(max_examples=100)
def test_a_later_version_only_adds_to_meta_data(of: InstanceView, version: str):
    documents = [
        json.loads(rendered.body)
        for at in (version, LATEST)
        if (rendered := tree.render(of, f"/openstack/{at}/meta_data.json"))
    ]
    assert documents[1] | documents[0] == documents[1]


@given(anything)
@settings(max_examples=300)
def test_any_name_gives_a_label_of_rfc_1123(name: str):
    label = identifiers.hostname(Instance(id=INSTANCE_ID, name=name))
    assert 1 <= len(label) <= 63
    assert set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert label[0] != "-"
    assert label[-1] != "-"
