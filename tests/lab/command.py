"""The a9fe command as a person types it."""

import json
import os
import subprocess
from dataclasses import dataclass, field
from typing import Any

from tests.lab.places import A9FE

SYSTEM = ":".join(("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"))
DEADLINE = 120  # s


@dataclass(frozen=True, kw_only=True)
class Command:
    """The `a9fe` command with these variables in a clean environment."""

    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        own = {"PATH": SYSTEM, "HOME": "/root", "LC_ALL": "C.UTF-8", "COLUMNS": "200"}
        return {**own, **self.variables}

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run it and return the result, whatever its status."""
        return self.other(str(A9FE), *arguments)

    def other(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        """Run another program in the same environment."""
        return subprocess.run(
            argv,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            env=self.environment,
            cwd="/",
        )

    def __call__(self, *arguments: str) -> str:
        """Run it and return its stdout; it must succeed."""
        done = self.run(*arguments)
        said = f"a9fe {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, said
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """Run it with --json and return the document."""
        return json.loads(self(*arguments, "--json"))

    def spawn(self, *arguments: str, output: str) -> "subprocess.Popen[bytes]":
        """Start it in its own session and append its output to a file."""
        with open(output, "ab") as file:
            return subprocess.Popen(
                [str(A9FE), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
                cwd="/",
            )


def inside_sandbox() -> bool:
    """Return whether this process runs in the sandbox of `./run test`."""
    with open("/proc/1/cmdline", "rb") as file:
        return b"_inside" in file.read() and os.getuid() == 0
