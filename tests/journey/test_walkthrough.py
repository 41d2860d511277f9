"""Run docs/walkthrough.md: every command succeeds and prints what the page shows."""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.house import House
from tests.lab.places import A9FE

PAGE = Path(__file__).parents[2] / "docs" / "walkthrough.md"
MARK = "--- status "
DEADLINE = 240  # s


@dataclass
class Step:
    command: str
    expected: list[str] = field(default_factory=list)


def steps() -> list[Step]:
    found: list[Step] = []
    for block in re.findall(r"^```console\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("# "):
                found.append(Step(command=line[2:]))
            else:
                found[-1].expected.append(line)
    return found


def pattern(line: str) -> re.Pattern[str]:
    """Return the expected output as a pattern: `...` is any text, blanks have any width."""
    parts = (re.escape(part) for part in re.split(r"(\.\.\.)", " ".join(line.split())))
    return re.compile("".join(".*" if p == r"\.\.\." else p.replace(r"\ ", r"\s+") for p in parts))


def test_the_page_says_what_happens(house: House, tmp_path: Path):
    todo = steps()
    assert len(todo) > 30
    said = tmp_path / "said"
    script = "\n".join(f"{step.command}\ns=$?; echo; echo '{MARK}'$s" for step in todo)
    own = {**house.a9fe.environment, "PATH": f"{A9FE.parent}:{house.a9fe.environment['PATH']}"}
    with said.open("w") as file:
        subprocess.run(
            ["timeout", "--kill-after=5", str(DEADLINE), "bash", "-c", script],
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    outputs = re.split(rf"^{MARK}(\d+)\n", said.read_text(), flags=re.MULTILINE)
    pairs = list(zip(outputs[::2], outputs[1::2], strict=False))
    for step, (output, status) in zip(todo, pairs, strict=False):
        context = f"$ {step.command}\n{output}\n{house.tail()}"
        assert status == "0", context
        flat = "\n".join(" ".join(line.split()) for line in output.splitlines())
        missing = [line for line in step.expected if not pattern(line).search(flat)]
        assert missing == [], context
    assert len(pairs) == len(todo), f"hung in: {todo[len(pairs)].command}\n{outputs[-1]}"
