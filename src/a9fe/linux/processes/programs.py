"""The programs that we run, and the Debian package that brings each."""

import os
import shutil
import subprocess
from collections.abc import Sequence

from a9fe.model.errors import A9feError

PACKAGES = {
    "apt-cache": "apt",
    "apt-get": "apt",
    "busybox": "busybox-static",
    "cpio": "cpio",
    "dhclient": "isc-dhcp-client",
    "dhcpcd": "dhcpcd-base",
    "dnsmasq": "dnsmasq-base",
    "dpkg-deb": "dpkg",
    "ip": "iproute2",
    "iptables-restore": "iptables",
    "iptables-save": "iptables",
    "lz4": "lz4",
    "nft": "nftables",
    "nsenter": "util-linux",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "useradd": "passwd",
    "zstd": "zstd",
}
SYSTEM_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin")
TIMEOUT = 30.0  # s: none of the programs that we wait for takes a second


class MissingProgram(A9feError):
    """A program that we need is not installed."""

    def __init__(self, program: str) -> None:
        """Name the Debian package."""
        package = PACKAGES.get(program, program)
        super().__init__(
            f"{program}: no such program here, expected Debian's package {package}"
            f" (apt-get install {package})"
        )
        self.program = program


class ProgramFailed(A9feError):
    """A program ended badly; its text has what it wrote to stderr."""


def find(program: str, paths: str | None = None) -> str:
    """The full path of `program`, looked for in PATH (or `paths`) and the system's sbin."""
    if paths is None:
        paths = os.pathsep.join((os.environ.get("PATH", ""), *SYSTEM_PATHS))
    found = shutil.which(program, path=paths)
    if found is None:
        raise MissingProgram(program)
    return found


def run(argv: Sequence[str], text: str = "", env: dict[str, str] | None = None) -> str:
    """Run `argv` to its end with `text` as stdin; its stdout. Raises ProgramFailed."""
    command = [find(argv[0]), *argv[1:]]
    try:
        done = subprocess.run(  # noqa: S603 - argv is ours, no shell
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            env=env,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ProgramFailed(f"{argv[0]}: did not end within {TIMEOUT:.0f} s") from error
    if done.returncode != 0:
        said = " / ".join(done.stderr.split("\n")).strip(" /") or "it said nothing"
        raise ProgramFailed(f"{argv[0]}: exit status {done.returncode}: {said}")
    return done.stdout
