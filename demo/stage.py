"""Running commands, and printing each step with its time."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

A9FE = Path(sys.executable).with_name("a9fe")
DEADLINE = 120.0  # s for each command or condition
POLL = 0.05  # s
SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class DemoFailed(Exception):
    """The demo failed; the message says why."""


class Stage:
    """Runs commands with the demo's state directory, and prints steps."""

    def __init__(self, state: Path) -> None:
        """`state` is a directory of the sandbox that unprivileged users may enter."""
        self._began = time.monotonic()
        self._environment = {
            "PATH": SYSTEM,
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "110",
            "A9FE_STATE_PATH": str(state),
        }

    def say(self, text: str) -> None:
        """Print a step with the time since the start."""
        sys.stdout.write(f"[{time.monotonic() - self._began:6.2f} s] {text}\n")
        sys.stdout.flush()

    def show(self, command: str, output: str) -> None:
        """Print a command and its output, indented."""
        lines = output.rstrip().splitlines() or ["(nothing)"]
        sys.stdout.write(f"\n    # {command}\n" + "".join(f"    {line}\n" for line in lines))
        sys.stdout.flush()

    def run(self, *argv: str) -> str:
        """Run a command; return its stdout. Raises DemoFailed if it fails."""
        done = subprocess.run(  # noqa: S603 - our own command lines, no shell
            argv,
            check=False,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            env=self._environment,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            output = (done.stderr or done.stdout).strip()
            raise DemoFailed(f"{' '.join(argv)}: exit status {done.returncode}: {output}")
        return done.stdout

    def a9fe(self, *arguments: str) -> str:
        """Run an a9fe command; return its stdout."""
        return self.run(str(A9FE), *arguments)

    def typed(self, *arguments: str) -> str:
        """Print an a9fe command as a step and run it; return its stdout."""
        self.say("a9fe " + " ".join(arguments))
        return self.a9fe(*arguments)

    def read(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """Run an a9fe command with --json; return its decoded output."""
        return json.loads(self.a9fe(*arguments, "--json"))

    def spawn(self, *arguments: str, output: Path) -> "subprocess.Popen[bytes]":
        """Start an a9fe command in its own session, with its output to a file."""
        with output.open("ab") as file:
            return subprocess.Popen(  # noqa: S603 - our own command lines, no shell
                [str(A9FE), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def show_inside(self, namespace: str, *argv: str) -> None:
        """Run a command in a namespace, and print it with its output."""
        output = self.run("ip", "netns", "exec", namespace, *argv)
        self.show(f"ip netns exec {namespace} {' '.join(argv)}", output)

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Poll until the condition is true. Raises DemoFailed after DEADLINE."""
        end = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > end:
                raise DemoFailed(f"{what}: not within {DEADLINE:.0f} s")
            time.sleep(POLL)
