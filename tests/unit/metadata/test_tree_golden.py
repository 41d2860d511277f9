"""The whole tree of each scenario, and the page, equal the committed text.

`A9FE_UPDATE_GOLDEN=1` writes the files instead.
"""

import os
from pathlib import Path

import pytest

from a9fe.metadata import tree_page
from tests.golden.metadata.scenarios import SCENARIOS, golden

ROOT = Path(__file__).parents[3]
UPDATE = os.environ.get("A9FE_UPDATE_GOLDEN") == "1"


def check(path: Path, text: str) -> None:
    if UPDATE:
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_tree_equals_its_golden_file(name: str):
    check(ROOT / "tests" / "golden" / "metadata" / f"{name}.txt", golden(SCENARIOS[name]()))


def test_the_page_is_generated_from_the_table():
    check(ROOT / "docs" / "metadata-tree.md", tree_page.markdown())


def test_no_golden_file_is_left_over():
    files = {path.stem for path in (ROOT / "tests" / "golden" / "metadata").glob("*.txt")}
    assert files == set(SCENARIOS)
