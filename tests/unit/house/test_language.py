"""Docstrings, comments, log events and pages have none of the riddles that this project once had.

The table is that of CONTRIBUTING.md, as patterns. A pattern finds a form, not a meaning: read what
you wrote all the same.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RIDDLES = {
    r"\bwhom\b": "name the person or process",
    r"\bwhose (it|they|that|this) (is|are|was)\b": "name the owner",
    r"\bwho (asks|calls|holds|pays|wants|waits)\b": "name the caller",
    r"\bthose who\b": "name them",
    r"\bfor ever\b": "without end, or until what",
    r"\b(is|are|be) had\b": "is available, or is obtained",
    r"\b(says?|said|told|tells) of\b": "reports",
    r"\bwhat of\b": "which parts of",
    r"\bno word\b": "no answer",
    r"\bto whomever\b|\bwhoever\b": "name the person or process",
    r"\bthe other end of it\b": "name the end",
    r"\A(both|once|all|none|those|the same|this|it)( as well)?\.?\Z": "say what",
}
PATTERNS = {re.compile(riddle, re.IGNORECASE): instead for riddle, instead in RIDDLES.items()}
SOURCES = sorted(
    path
    for room in ("src", "tests", "bench", "demo", "docs")
    for path in (ROOT / room).rglob("*.py")
)
PAGES = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "bench").glob("*.md"),
    ]
    if path.name not in {"CONTRIBUTING.md"}  # quotes them
)
Sentence = tuple[int, str]


def sentences(path: Path) -> Iterator[Sentence]:
    """Yield each docstring and comment of a module with its line."""
    text = path.read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield getattr(node, "lineno", 1), docstring
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")


def riddles(found: Iterator[Sentence]) -> Iterator[str]:
    """Yield what a reader should see of each sentence that has a pattern."""
    for line, text in found:
        plain = " ".join(text.split())
        for pattern, instead in PATTERNS.items():
            match = pattern.search(plain)
            if match:
                yield f"{line}: {match[0]!r} in {plain[:100]!r}: {instead}"


@pytest.mark.parametrize(
    "sentence", ["Whose it is to serve.", "Once.", "They are had.", "For whom?"]
)
def test_a_riddle_is_found(sentence: str):
    assert list(riddles(iter([(1, sentence)])))


@pytest.mark.parametrize("room", sorted({path.relative_to(ROOT).parts[:3] for path in SOURCES}))
def test_no_docstring_or_comment_is_a_riddle(room: tuple[str, ...]):
    found = [
        f"{path.relative_to(ROOT)}:{riddle}"
        for path in SOURCES
        if path.relative_to(ROOT).parts[:3] == room and path != Path(__file__)
        for riddle in riddles(sentences(path))
    ]
    assert found == []


def test_no_page_has_a_riddle():
    found = [
        f"{path.relative_to(ROOT)}:{riddle}"
        for path in PAGES
        for riddle in riddles(enumerate(path.read_text().splitlines(), 1))
    ]
    assert found == []
