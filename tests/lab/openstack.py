"""The released `neutron` and `openstack` commands, run against our server."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.house import URL
from tests.lab.places import CLIENTS

DEADLINE = 240  # s of one session: openstack takes 2 s to start and 0.1 s a command
CLOUDS = f"""
clouds:
  lab:
    auth_type: none
    auth: {{endpoint: "{URL}"}}
    network_endpoint_override: {URL}
    compute_endpoint_override: {URL}/v2.1
    image_endpoint_override: {URL}/image
"""
NOT_ERRORS = ("is deprecated", "DeprecationWarning", "warnings.warn")


@dataclass(frozen=True, kw_only=True)
class Client:
    """One of the two. It reads subcommands from a pipe, so that it starts only once."""

    program: Path
    environment: dict[str, str]

    def run(self, *commands: str) -> "Said":
        """Run these subcommands, whatever their result."""
        done = subprocess.run(
            [str(self.program)],
            check=False,
            input="".join(f"{command}\n" for command in commands),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            env={"PATH": "/usr/bin:/bin", "HOME": "/root", "COLUMNS": "200", **self.environment},
            cwd="/",
        )
        complaints = [
            line
            for line in done.stderr.splitlines()
            if line.strip() and not any(phrase in line for phrase in NOT_ERRORS)
        ]
        return Said(text=done.stdout, complaints=complaints)

    def __call__(self, *commands: str) -> list[Any]:
        """Run these subcommands without an error; return the documents of those with `-f json`."""
        said = self.run(*commands)
        assert said.complaints == [], "\n".join([*said.complaints, said.text])
        return list(said.documents())


@dataclass(frozen=True, kw_only=True)
class Said:
    """The output of a client; `complaints` are the lines of its stderr."""

    text: str
    complaints: list[str]

    def documents(self) -> Iterator[Any]:
        """Return the JSON documents in its output; other lines are skipped."""
        decoder, at = json.JSONDecoder(), 0
        while at < len(self.text):
            end = self.text.find("\n", at)
            end = len(self.text) if end < 0 else end
            if self.text[at : at + 1] in {"{", "["}:
                document, end = decoder.raw_decode(self.text, at)
                yield document
            at = end + 1


def neutron() -> Client:
    """python-neutronclient's command."""
    return Client(
        program=CLIENTS / "neutronclient" / "bin" / "neutron",
        environment={"OS_AUTH_TYPE": "none", "OS_ENDPOINT": URL},
    )


def openstack(directory: Path, cloud: str = "lab") -> Client:
    """python-openstackclient's command, with a clouds.yaml of the cloud "lab" that is written to
    `directory`."""
    clouds = directory / "clouds.yaml"
    if cloud == "lab":
        clouds.write_text(CLOUDS)
    environment = {
        "OS_IDENTITY_API_VERSION": "3",
        "OS_CLIENT_CONFIG_FILE": str(clouds),
        "OS_CLOUD": cloud,
    }
    return Client(
        program=CLIENTS / "openstackclient" / "bin" / "openstack", environment=environment
    )
