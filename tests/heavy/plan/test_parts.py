"""Any change of any model changes no plan of a part that it does not touch."""

from hypothesis import given
from hypothesis import strategies as st

from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.host import HostPlan
from a9fe.plan.model_view import ModelView
from a9fe.plan.parts import Part, touched
from a9fe.plan.routers import namespaces as l3
from a9fe.plan.settings import DhcpSettings, L3Settings
from tests.kit.fake_model import HOST, FakeModel
from tests.kit.models import CHEAP, models


def plans(model: ModelView) -> dict[tuple[str, Part], HostPlan]:
    found = {}
    for part in dhcp.all_parts(model):
        settings = DhcpSettings(dhcp_confs="/d")
        found["dhcp", part] = dhcp.plan_part(model, HOST, settings, part)
    for part in l3.all_parts(model, HOST):
        found["l3", part] = l3.plan_part(model, HOST, L3Settings(), part)
    return found


@CHEAP
@given(before=models(), after=models(), data=st.data())
def test_a_change_changes_no_plan_of_a_part_that_it_does_not_touch(
    before: FakeModel, after: FakeModel, data: st.DataObject
):
    model = FakeModel(before.resources.values())
    keys = sorted(before.resources.keys() | after.resources.keys())
    for key in data.draw(st.permutations(keys)):
        old, new = model.resources.get(key), after.resources.get(key)
        earlier = plans(model)
        if new is not None:
            model.put(new)
        elif old is not None:
            model.drop(old)
        now = plans(model)
        for owner in ("dhcp", "l3"):
            parts = touched(owner, key[0], old, new, model)
            differ = {
                part
                for which, part in earlier.keys() | now.keys()
                if which == owner and earlier.get((owner, part)) != now.get((owner, part))
            }
            bare = {p for p in differ if is_bare(earlier.get((owner, p)), now.get((owner, p)))}
            assert differ - bare <= parts


def is_bare(*plans: HostPlan | None) -> bool:
    """Return whether the plans have no objects: such a part need not be planned."""
    return all(plan is None or not (plan.bridges or plan.namespaces) for plan in plans)
