"""Runs commands, says each step with its time, and knows no more."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

A9FE = Path(sys.executable).with_name("a9fe")
DEADLINE = 120.0  # s for any one thing
POLL = 0.05  # s
SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class DemoFailed(Exception):
    """Something did not come as it should; the text says what."""


class Stage:
    """Where the demo plays: its state directory, and the clock that starts with it."""

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
        """A step, with the time since the start."""
        sys.stdout.write(f"[{time.monotonic() - self._began:6.2f} s] {text}\n")
        sys.stdout.flush()

    def show(self, command: str, output: str) -> None:
        """A command and what it printed, indented."""
        lines = output.rstrip().splitlines() or ["(nothing)"]
        sys.stdout.write(f"\n    # {command}\n" + "".join(f"    {line}\n" for line in lines))
        sys.stdout.flush()

    def run(self, *argv: str) -> str:
        """The stdout of a command that must succeed."""
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
            said = (done.stderr or done.stdout).strip()
            raise DemoFailed(f"{' '.join(argv)}: exit status {done.returncode}: {said}")
        return done.stdout

    def a9fe(self, *arguments: str) -> str:
        """The stdout of an a9fe command."""
        return self.run(str(A9FE), *arguments)

    def typed(self, *arguments: str) -> str:
        """An a9fe command as a step of its own; its stdout."""
        self.say("a9fe " + " ".join(arguments))
        return self.a9fe(*arguments)

    def read(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """What an a9fe command prints with --json."""
        return json.loads(self.a9fe(*arguments, "--json"))

    def spawn(self, *arguments: str, output: Path) -> "subprocess.Popen[bytes]":
        """Start an a9fe command in a session of its own; its output goes to a file."""
        with output.open("ab") as file:
            return subprocess.Popen(  # noqa: S603 - our own command lines, no shell
                [str(A9FE), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def walk(self, namespace: str, *argv: str) -> None:
        """Show what a command prints in a namespace."""
        output = self.run("ip", "netns", "exec", namespace, *argv)
        self.show(f"ip netns exec {namespace} {' '.join(argv)}", output)

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Poll until it is true."""
        end = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > end:
                raise DemoFailed(f"{what}: not within {DEADLINE:.0f} s")
            time.sleep(POLL)
