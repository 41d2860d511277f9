"""Hypothesis strategies that several rooms use."""

from dataclasses import replace

from hypothesis import strategies as st

from a9fe.metadata import tree
from a9fe.metadata.table import LATEST
from a9fe.model.resources import Instance, Keypair
from a9fe.model.user_data import loaded
from a9fe.wire.trusted import OUR_PREFIX, TRUSTED
from tests.golden.metadata.scenarios import INSTANCE_ID, SCENARIOS

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


anything = st.text(st.characters(), max_size=30)  # also lone surrogates, which JSON can contain


keypairs = st.lists(
    st.builds(Keypair, name=anything, public_key=anything, type=st.sampled_from(["ssh", "x509"])),
    max_size=3,
).map(tuple)


instances = st.builds(
    Instance,
    id=st.just(INSTANCE_ID),
    name=anything,
    number=st.integers(0, 2**33),
    project_id=anything,
    user_data=st.none() | st.binary(max_size=30),
    keypairs=keypairs,
    metadata=st.dictionaries(anything, anything, max_size=3),
    availability_zone=anything,
    flavor=anything,
    image=anything,
    launch_index=st.integers(0, 9),
)


views = st.builds(
    lambda of, instance: replace(
        of(), instance=instance, read_user_data=loaded(instance).read_user_data
    ),
    st.sampled_from(list(SCENARIOS.values())),
    instances,
)


roots = st.sampled_from(
    [f"/{v}" for v in (*tree.EC2.versions, LATEST)]
    + [f"/openstack/{v}" for v in (*tree.OPENSTACK.versions, LATEST)]
)


TRUSTED_NAMES = [name.decode() for name in sorted(TRUSTED)] + [
    OUR_PREFIX.decode() + "anything-new"
]


def disguise(name: str, bits: int) -> bytes:
    """Change the letters whose bits are set to upper case and such dashes to underscores."""
    letters = [
        (c.upper() if c != "-" else "_") if bits >> n & 1 else c for n, c in enumerate(name)
    ]
    return "".join(letters).encode()


def disguised():
    """Return trusted header names in any case, with any dashes replaced by underscores."""
    return st.builds(disguise, st.sampled_from(TRUSTED_NAMES), st.integers(0, 2**32 - 1))
