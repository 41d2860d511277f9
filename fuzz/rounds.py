"""Feed a target with inputs of hypothesis, and with the kept inputs, which once failed."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS, Target

CORPUS = Path(__file__).with_name("corpus")


def kept(name: str) -> dict[str, bytes]:
    """Return the inputs of a target that are kept in the repository: those that once failed."""
    return {path.name: path.read_bytes() for path in sorted(CORPUS.glob(f"{name}-*"))}


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Return likely inputs: seeds, words and a few bytes, joined."""
    piece = st.sampled_from(target.words) | st.sampled_from(target.seeds) | st.binary(max_size=4)
    return st.lists(piece, max_size=12).map(b"".join)


def with_hypothesis(name: str, examples: int, *, fresh: bool = True) -> None:
    """Check a target on `examples` inputs, new ones if `fresh`. The error has the failing one."""
    target = TARGETS[name]

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=not fresh,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(target))
    def check(data: bytes) -> None:
        target.check(data)

    check()
