"""Each program that we run has its Debian package, which the error names if it is missing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from a9fe import linux
from a9fe.cli.processes import host_checks
from a9fe.linux.processes import programs
from a9fe.linux.vms import guest

SOURCES = sorted(Path(linux.__file__).parent.rglob("*.py"))
STARTERS = {"run", "run_bytes", "find", "Popen"}


def test_a_missing_program_names_its_debian_package(tmp_path):
    for program, package in programs.PACKAGES.items():
        with pytest.raises(programs.MissingProgram, match=f"{program}: .* package {package} "):
            programs.find(program, paths=str(tmp_path))


def test_every_program_that_is_started_is_known_and_no_other():
    started = {name for path in SOURCES for name in Module(path).programs()}
    started |= {command[0] for command in guest.CLIENTS.values() if command} | {
        *host_checks.NEEDED
    }
    assert started == programs.PACKAGES.keys()


class Module:
    """The programs in the command lines of a module."""

    def __init__(self, path: Path) -> None:
        self._tree = ast.parse(path.read_text())
        self._values: dict[str, list[ast.expr]] = {}
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._values.setdefault(node.targets[0].id, []).append(node.value)
            if isinstance(node, ast.For) and isinstance(node.target, ast.Name):
                among = node.iter.elts if isinstance(node.iter, ast.Tuple) else []
                self._values.setdefault(node.target.id, []).extend(among)

    def programs(self) -> Iterator[str]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and node.args and called(node) in STARTERS:
                yield from self._first_words(node.args[0])

    def _first_words(self, command: ast.expr) -> Iterator[str]:
        match command:
            case ast.Constant(value=str(word)):
                yield word
            case ast.List(elts=[first, *_]) | ast.Tuple(elts=[first, *_]):
                yield from self._first_words(first)
            case ast.Starred(value=several):
                yield from self._first_words(several)
            case ast.Name(id=name):
                for value in self._values.pop(name, []):
                    yield from self._first_words(value)


def called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
