"""The directory of the tiny VM's image."""

from pathlib import Path

import pytest

from a9fe.linux.vms import tiny_vm


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ((), "state/images"),
        (("checkout/.cache/images/tiny",), "checkout/.cache/images"),
        (("state/images/tiny",), "state/images"),
        (("state/images/tiny", "checkout/.cache/images/tiny"), "state/images"),
        (("checkout/.cache/images",), "state/images"),
    ],
)
def test_an_image_that_setup_built_is_used(
    tmp_path: Path, there: tuple[str, ...], expected: str
) -> None:
    for path in there:
        (tmp_path / path).mkdir(parents=True)
    found = tiny_vm.directory(tmp_path / "state", tmp_path / "checkout")
    assert found == tmp_path / expected


def test_setup_builds_the_image_where_it_is_used() -> None:
    root = Path(__file__).parents[3]
    assert root == tiny_vm.CHECKOUT
    assert '-m a9fe.linux.vms.tiny_vm "$CACHE/images"' in (root / "run").read_text()
