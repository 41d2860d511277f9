"""House rules that no linter checks: sizes, names, imports, links and references of documents."""

import ast
import gc
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BENCH = sorted((ROOT / "bench").rglob("*.py"))
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").rglob("*.md")]
)
MAX_FUNCTION_LINES = 60
MAX_MODULE_LINES = 400
VAGUE_NAMES = {"utils", "util", "helpers", "common", "base", "manager", "misc"}


@cache
def parsed(path: Path) -> ast.Module:
    """Parse the module. A garbage collection during it breaks the parser of Python 3.11."""
    gc.disable()
    try:
        return ast.parse(path.read_text())
    finally:
        gc.enable()


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or 0) - node.lineno + 1


def test_units_are_small():
    large = [
        f"{path.relative_to(ROOT)}:{name} has {lines} lines"
        for path in SOURCES
        for name, lines in functions(path)
        if lines > MAX_FUNCTION_LINES
    ]
    large += [
        f"{path.relative_to(ROOT)} has {count} lines"
        for path in SOURCES
        if (count := path.read_text().count("\n")) > MAX_MODULE_LINES
    ]
    assert large == []


def test_no_module_has_a_vague_name():
    assert [p.name for p in SOURCES if p.stem in VAGUE_NAMES] == []


def test_tests_neither_sleep_nor_patch_nor_skip_nor_measure_time():
    pattern = re.compile(
        r"\bsleep\(\s*\d|mock\.patch|monkeypatch\.setattr|pytest\.skip|mark\.skip|mark\.xfail"
        r"|(monotonic|perf_counter|time)\(\) - "
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in TESTS
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def test_no_module_imports_a_test_module():
    """Shared code is in tests/kit or tests/lab. This includes the code in strings."""
    pattern = re.compile(
        r"^\s*(from|import) (tests\.(?!kit\b|lab\b|golden\b)|\.|(\w+\.)*(test_|conftest))|"
        r"^\s*from tests import (?!kit\b|lab\b|golden\b)",
        re.MULTILINE,
    )
    found = [
        f"{path.relative_to(ROOT)}: {match[0].strip()}"
        for path in [*TESTS, *BENCH]
        for match in pattern.finditer(path.read_text())
    ]
    assert found == []


def test_every_fake_has_a_contract_suite():
    """A suite below tests/contract runs on the fake and on the thing that it stands for."""
    suites = "".join(p.read_text() for p in (ROOT / "tests" / "contract").rglob("test_*.py"))
    fakes = {
        node.name
        for folder in ("kit", "lab")
        for path in (ROOT / "tests" / folder).rglob("*.py")
        for node in parsed(path).body
        if isinstance(node, ast.ClassDef) and node.name.startswith("Fake")
    }
    assert {name for name in fakes if not re.search(rf"\b{name}\(", suites)} <= {"FakeApi"}
    assert "running_api(" in suites, "which makes FakeApi"


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield module and name of each import from a9fe and tests, also in code strings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("a9fe", "tests")):
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.Constant) and "\nfrom " in str(node.value):
            with suppress(SyntaxError):
                yield from imports(ast.parse(str(node.value)))


def exists(module: str, name: str) -> bool:
    try:
        return hasattr(import_module(module), name) or bool(find_spec(f"{module}.{name}"))
    except ModuleNotFoundError:
        return False


def test_what_tests_and_benchmarks_import_exists():
    """Kernel tests and journeys do not run at every change, so they would miss a rename."""
    missing = {
        f"{path.relative_to(ROOT)}: from {module} import {name}"
        for path in [*TESTS, *BENCH]
        for module, name in imports(parsed(path))
        if not exists(module, name)
    }
    assert missing == set()


def test_every_link_of_a_page_leads_somewhere():
    broken = [
        f"{page.relative_to(ROOT)} -> {target}"
        for page in PAGES
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_decisions_are_numbered_once_in_file_name_and_title():
    numbers = []
    for path in sorted((ROOT / "docs" / "adr").glob("*.md")):
        number = int(path.name.partition("-")[0])
        assert path.read_text().startswith(f"# {number}. "), path.name
        numbers.append(number)
    assert numbers == list(range(1, len(numbers) + 1))


def promises() -> list[tuple[str, str]]:
    text = (ROOT / "SPECIFICATION.md").read_text()
    rows = re.findall(r"^\| (\d+\.\d+) \|.*\| ([^|]+) \|$", text, flags=re.MULTILINE)
    return [(number, test) for number, tests in rows for test in tests.split("<br>")]


def test_specification_has_promises():
    numbers = [number for number, _ in promises()]
    assert len(set(numbers)) > 20


@pytest.mark.parametrize(("number", "test"), promises())
def test_every_promise_names_a_test_that_exists(number: str, test: str):
    path, _, name = test.strip().strip("`").partition("::")
    tree = parsed(ROOT / "tests" / path)
    defined = {
        n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name in defined, f"promise {number} names {test}, which is not there"
