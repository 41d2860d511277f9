"""Users and capabilities of a process; ending it together with its parent.

Capabilities belong to threads: call these functions before a thread is started (they check it).
Sources: capabilities(7), prctl(2), PR_SET_PDEATHSIG(2const).
"""

import grp
import os
import pwd
import signal
from collections.abc import Iterable

import structlog

from a9fe.linux.kernel import libc
from a9fe.linux.processes import programs
from a9fe.model.errors import A9feError
from a9fe.runtime import preload

log = structlog.get_logger("a9fe.linux")

# Numbers from linux/capability.h.
CAPABILITIES = {
    "chown": 0,
    "dac_override": 1,
    "dac_read_search": 2,
    "fowner": 3,
    "kill": 5,
    "setgid": 6,
    "setuid": 7,
    "setpcap": 8,
    "net_bind_service": 10,
    "net_broadcast": 11,
    "net_admin": 12,
    "net_raw": 13,
    "sys_ptrace": 19,
    "sys_admin": 21,
}
LAST_CAPABILITY = "/proc/sys/kernel/cap_last_cap"

# Of the L3 and DHCP agents: for links, rules and namespaces (net_admin, sys_admin, net_raw),
# events of all namespaces (net_broadcast), listeners on port 80 (net_bind_service), a dnsmasq that
# becomes user nobody (setuid, setgid, chown, dac_override), and to recognise and end that dnsmasq
# (sys_ptrace for /proc/<pid>/ns/net, kill).
AGENT_CAPABILITIES = (
    "net_admin",
    "sys_admin",
    "net_raw",
    "net_broadcast",
    "net_bind_service",
    "setuid",
    "setgid",
    "setpcap",
    "chown",
    "fowner",
    "dac_override",
    "sys_ptrace",
    "kill",
)

INDISPENSABLE = ("net_admin", "sys_admin")

PARENT_DEATH = "A9FE_PARENT_DEATH"
PARENT_PID = "A9FE_PARENT_PID"


def is_root() -> bool:
    """Whether the effective user is root."""
    return os.geteuid() == 0


def require_root(what: str = "a9fe") -> None:
    """Raise A9feError unless we are root."""
    if not is_root():
        raise A9feError(f"{what}: needs root, and runs as uid {os.geteuid()}; use sudo")


def drop(user: str, *, keep: Iterable[str] = ()) -> None:
    """Become `user` irrevocably, with only the capabilities `keep` (names of CAPABILITIES).

    Sets no_new_privs, reduces the bounding set to `keep`, and drops all groups but the user's own.
    First imports the modules of runtime.preload. If not root, it only logs that.
    """
    if not is_root():
        log.info("privileges not dropped: not root", user=user, uid=os.geteuid())
        return
    _require_one_thread()
    preload.load()
    kept = _bits(keep)
    entry = find_user(user)
    _drop_bounding_set(kept)
    libc.prctl(libc.PR_SET_KEEPCAPS, 1 if kept else 0)
    os.setgroups([])
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    _set_capabilities(kept)
    log.debug("privileges dropped", user=user, uid=entry.pw_uid)
    _rearm_parent_death()


def limit_capabilities(names: Iterable[str] = AGENT_CAPABILITIES) -> None:
    """Stay root, but limit this process and all programs it runs to these capabilities.

    Root in a container may lack some; only those in INDISPENSABLE are required.
    """
    if not is_root():
        log.info("capabilities not limited: not root", uid=os.geteuid())
        return
    _require_one_thread()
    kept = _bits(_held(names))
    _drop_bounding_set(kept)
    _set_capabilities(kept)
    _rearm_parent_death()


def _held(names: Iterable[str]) -> list[str]:
    """Return the names that we have. Raises A9feError if one of INDISPENSABLE is missing."""
    with open("/proc/self/status") as file:
        have = next(int(line.split()[1], 16) for line in file if line.startswith("CapPrm:"))
    lacking = [name for name in names if not have & _bits([name])]
    without = ", ".join(f"CAP_{name.upper()}" for name in lacking)
    if any(name in INDISPENSABLE for name in lacking):
        raise A9feError(f"capabilities: root has no {without} here, which namespaces need")
    if lacking:
        log.warning(
            "root lacks capabilities here, some objects of other users cannot be read",
            missing=without,
        )
    return [name for name in names if name not in lacking]


def die_with_parent() -> None:
    """Get SIGTERM when the parent dies, if A9FE_PARENT_DEATH=1.

    The kernel sends it when the *thread* that started us ends, so start processes from the main
    thread. If the parent (A9FE_PARENT_PID) has already ended, exit at once.
    """
    if os.environ.get(PARENT_DEATH) != "1":
        return
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGTERM)
    expected = os.environ.get(PARENT_PID)
    if expected is not None and expected != str(os.getppid()):
        raise SystemExit(0)


def find_user(name: str) -> pwd.struct_passwd:
    """Return the user's entry. Raises A9feError if the user does not exist."""
    try:
        return pwd.getpwnam(name)
    except KeyError as error:
        raise A9feError(
            f"user {name}: does not exist here, expected one made by `./run setup` or `a9fe up`"
        ) from error


def owner_of(user: str) -> tuple[int, int] | None:
    """Return (uid, gid) for the owner of the user's sockets and directories.

    None if we are not root: then they belong to the current user.
    """
    if not is_root():
        return None
    entry = find_user(user)
    return entry.pw_uid, entry.pw_gid


def ensure_user(name: str) -> pwd.struct_passwd:
    """Return the user's entry; make a system user without home and shell if it is missing."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        group = ("--gid", name) if _group_exists(name) else ("--user-group",)
        nothing = (
            "--no-create-home",
            "--home-dir",
            "/nonexistent",
            "--shell",
            "/usr/sbin/nologin",
        )
        programs.run(["useradd", "--system", *nothing, *group, name])
        return pwd.getpwnam(name)


def _group_exists(name: str) -> bool:
    return any(group.gr_name == name for group in grp.getgrall())


def _bits(names: Iterable[str]) -> int:
    return sum(1 << CAPABILITIES[name] for name in set(names))


def _drop_bounding_set(kept: int) -> None:
    with open(LAST_CAPABILITY) as file:
        last = int(file.read())
    for number in range(last + 1):
        if not kept & 1 << number:
            libc.prctl(libc.PR_CAPBSET_DROP, number)


def _set_capabilities(kept: int) -> None:
    libc.prctl(libc.PR_CAP_AMBIENT, libc.PR_CAP_AMBIENT_CLEAR_ALL)
    libc.capset(kept)
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)


def _rearm_parent_death() -> None:
    """Set PR_SET_PDEATHSIG again, because a change of user clears it."""
    die_with_parent()


def _require_one_thread() -> None:
    if len(os.listdir("/proc/self/task")) > 1:
        raise A9feError("privileges: must be dropped before threads are started")
