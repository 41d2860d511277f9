"""The page docs/walkthrough.md, executed: every command succeeds and prints what the page says."""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.house import House
from tests.lab.places import A9FE

PAGE = Path(__file__).parents[2] / "docs" / "walkthrough.md"
MARK = "--- status "


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
    """`...` is anything, and blanks are as wide as they like."""
    parts = (re.escape(part) for part in re.split(r"(\.\.\.)", " ".join(line.split())))
    return re.compile("".join(".*" if p == r"\.\.\." else p.replace(r"\ ", r"\s+") for p in parts))


def test_the_page_says_what_happens(house: House):
    todo = steps()
    assert len(todo) > 30
    script = "\n".join(f"{step.command}\necho; echo '{MARK}'$?" for step in todo)
    own = dict(house.a9fe.environment)
    own |= {"PATH": f"{A9FE.parent}:{own['PATH']}", "STATE_PATH": str(house.state)}
    done = subprocess.run(
        ["bash", "-c", script], env=own, capture_output=True, text=True, timeout=240, check=False
    )
    outputs = re.split(rf"^{MARK}(\d+)\n", done.stdout, flags=re.MULTILINE)
    pairs = list(zip(outputs[::2], outputs[1::2], strict=False))
    assert len(pairs) == len(todo), done.stdout + done.stderr
    for step, (output, status) in zip(todo, pairs, strict=True):
        said = f"$ {step.command}\n{output}\n{done.stderr}\n{house.tail()}"
        assert status == "0", said
        flat = "\n".join(" ".join(line.split()) for line in output.splitlines())
        missing = [line for line in step.expected if not pattern(line).search(flat)]
        assert missing == [], said
