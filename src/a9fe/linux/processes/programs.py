"""Running programs to their end; the Debian package of each."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from subprocess import PIPE

from a9fe.model.errors import A9feError
from a9fe.runtime import failpoints

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
    "iptables": "iptables",
    "lz4": "lz4",
    "nft": "nftables",
    "nsenter": "util-linux",
    "radvd": "radvd",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "useradd": "passwd",
    "zstd": "zstd",
}
SYSTEM_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin")
TIMEOUT = 30.0  # s; programs that agents run take less than one


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
    """A program failed or did not end in time; the message has what it wrote to stderr."""


def find(program: str, paths: str | None = None) -> str:
    """The full path of `program`, looked for in PATH (or `paths`) and the system's sbin."""
    if paths is None:
        paths = os.pathsep.join((os.environ.get("PATH", ""), *SYSTEM_PATHS))
    found = shutil.which(program, path=paths)
    if found is None:
        raise MissingProgram(program)
    return found


def run(argv: Sequence[str], text: str = "", env: dict[str, str] | None = None) -> str:
    """Run `argv` to its end with `text` as stdin; return its stdout. Raises ProgramFailed."""
    return run_bytes(argv, text.encode(), env=env).decode()


def run_bytes(
    argv: Sequence[str],
    stdin: bytes = b"",
    *,
    directory: Path | None = None,
    timeout: float = TIMEOUT,
    env: dict[str, str] | None = None,
) -> bytes:
    """Run `argv` to its end; return its stdout. `timeout` in s. Raises ProgramFailed."""
    return begin(argv, directory=directory, env=env).end(stdin, timeout)


class Begun:
    """A started program. Call `end`."""

    def __init__(self, process: subprocess.Popen[bytes], name: str) -> None:
        """Hold a process of ours; call `begin` to get one."""
        self._process = process
        self._name = name

    def end(self, stdin: bytes = b"", timeout: float = TIMEOUT) -> bytes:
        """Wait for its end; return its stdout. Raises ProgramFailed."""
        with self._process as process:
            try:
                stdout, stderr = process.communicate(stdin, timeout)
            except subprocess.TimeoutExpired as error:
                process.kill()
                raise ProgramFailed(f"{self._name}: did not end within {timeout:.0f} s") from error
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            lines = stderr.decode(errors="replace").split("\n")
            reason = " / ".join(lines).strip(" /") or "no message"
            raise ProgramFailed(f"{self._name}: exit status {process.returncode}: {reason}")
        return stdout


def begin(
    argv: Sequence[str], *, directory: Path | None = None, env: dict[str, str] | None = None
) -> Begun:
    """Start `argv`, in the calling thread's namespaces."""
    command = [find(argv[0]), *argv[1:]]
    failpoints.reached("program")
    process = subprocess.Popen(  # noqa: S603 - argv is ours, no shell
        command, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=directory, env=env
    )
    failpoints.reached("program started")
    return Begun(process, argv[0])
