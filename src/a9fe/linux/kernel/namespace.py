"""Named network namespaces, as `ip netns` keeps them: bind mounts in /run/netns.

Ours are marked (plan.mark): the alias of the loopback exists as long as the namespace, and before
the namespace has a name. The file on which it is mounted contains the mark, so that a broken
handle, which a killed process leaves, is recognised too.

setns(2) and unshare(2) act on the calling thread only. A namespace is made in a thread that then
ends, so that no other thread can see or inherit the change.

A socket opened in a namespace belongs to it for its life.
"""

import errno
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from a9fe.linux.kernel import libc, rtnetlink
from a9fe.model.errors import A9feError
from a9fe.plan.mark import ALIAS_PREFIX, Mark, owner_of
from a9fe.runtime import failpoints

T = TypeVar("T")

DIRECTORY = "/run/netns"
SYSCTLS = "/proc/sys"
HERE = "/proc/thread-self/ns/net"
HANDLE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO with one of our names: do not wait
NS_GET_NSTYPE = 0xB703
SO_NETNS_COOKIE = 71
MARK_SIZE = 256  # bytes read of a broken handle, more than a mark has


class NoSuchNamespace(A9feError):
    """The namespace does not exist, or a crash left only a broken handle of it."""


class NotOurs(A9feError):
    """An object of another installation or software has the name that we need."""

    def __init__(self, what: str, text: str) -> None:
        """`what` names the object, `text` is its mark, "" for none."""
        super().__init__(f"{what}: left alone, it is {owner_of(text)} (`a9fe clean` lists these)")


def path(name: str) -> str:
    """The path of the namespace `name`."""
    return f"{DIRECTORY}/{name}"


def names() -> list[str]:
    """The names of all namespaces, sorted, without broken handles."""
    return [name for name in handles() if exists(name)]


def handles() -> list[str]:
    """All names in /run/netns, sorted, with broken handles."""
    try:
        return sorted(name for name in os.listdir(DIRECTORY) if not name.startswith("."))
    except FileNotFoundError:
        return []


def exists(name: str) -> bool:
    """Whether the namespace exists. False for a broken handle: a file without its mount."""
    try:
        fd = os.open(path(name), HANDLE)
    except OSError:
        return False
    try:
        return _is_netns(fd)
    finally:
        os.close(fd)


def _is_netns(fd: int) -> bool:
    try:
        return fcntl.ioctl(fd, NS_GET_NSTYPE) == libc.CLONE_NEWNET
    except OSError:
        return False


def mark_of(name: str) -> str:
    """The mark of a namespace, or of a broken handle; "" for none."""
    try:
        with inside(name):
            return own_mark()
    except NoSuchNamespace:
        return _text_of_handle(name)


def own_mark() -> str:
    """The mark of the calling thread's namespace; "" for none."""
    return mark_on(rtnetlink.loopback())


def mark_on(loopback: rtnetlink.Link) -> str:
    """The mark of the namespace with that loopback; "" for none."""
    return loopback.alias if loopback.alias.startswith(ALIAS_PREFIX) else ""


def create(name: str, mark: Mark) -> bool:
    """Make the namespace with its mark and loopback up; replace a broken handle.

    Return False if it existed. Raises NotOurs if the existing one has another mark or none.
    """
    with _locked():
        if os.path.lexists(path(name)):
            require_ours(name, mark)
            if exists(name):
                return False
        _remove_handle(name)
        _make_handle(name, mark)
        in_thread(lambda: _unshare_to(path(name), mark))
        return True


def delete(name: str, mark: Mark) -> bool:
    """Remove the name. The kernel frees the namespace when nothing uses it any more.

    Return False if it does not exist. Raises NotOurs if it has another mark or none.
    """
    with _locked():
        if not os.path.lexists(path(name)):
            return False
        require_ours(name, mark)
        return _remove_handle(name)


@contextmanager
def removal(names: Sequence[str], mark: Mark) -> Iterator[Iterator[str]]:
    """Check that all names are ours, and hold the lock for the block: it gets an iterator that
    removes each name, as `delete` does, when it yields it. Raises NotOurs before the block.
    """
    with _locked():
        for name in names:
            require_ours(name, mark)
        yield (name for name in names if _remove_handle(name))


def require_ours(name: str, mark: Mark) -> None:
    """Raise NotOurs unless the namespace, or the broken handle, has the mark."""
    found = mark_of(name)
    if found != mark.text:
        raise NotOurs(f"namespace {name}", found)


def require_here_ours(name: str, mark: Mark) -> None:
    """Raise NotOurs unless the calling thread's namespace, which is `name`, has the mark."""
    found = own_mark()
    if found != mark.text:
        raise NotOurs(f"namespace {name}", found)


def adopt(name: str, mark: Mark) -> None:
    """Mark a namespace, or a broken handle, without a mark. Raises NotOurs for another mark."""
    if mark_of(name):
        require_ours(name, mark)
    elif exists(name):
        with inside(name):
            _mark_loopback(mark)
    else:
        with _locked():
            _remove_handle(name)
            _make_handle(name, mark)


def inode(name: str) -> int:
    """The namespace's inode, as of /proc/<pid>/ns/net; 0 if it does not exist."""
    try:
        return os.stat(path(name)).st_ino if exists(name) else 0
    except FileNotFoundError:
        return 0


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Move the calling thread into the namespace for the block. Do not await in the block."""
    home = os.open(HERE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(name)
        try:
            yield
        finally:
            _go_home(home)
    finally:
        os.close(home)


def call_inside(name: str, function: Callable[[], T]) -> T:
    """Run `function` in the namespace in a new thread; return its result."""

    def entered() -> T:
        _enter(name)
        return function()

    return in_thread(entered)


def in_thread(function: Callable[[], T]) -> T:
    """Run `function` in a new thread; return its result or raise its error."""
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
            errors.append(error)

    thread = threading.Thread(target=body, name="namespace")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def cookie(name: str) -> int:
    """The namespace's number, unique until the next boot (SO_NETNS_COOKIE)."""
    return call_inside(name, own_cookie)


def own_cookie() -> int:
    """The number of the calling thread's namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return socket_cookie(probe)


def socket_cookie(sock: socket.socket) -> int:
    """The number of the socket's namespace, which need not be the calling thread's."""
    raw = sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
    return int(struct.unpack("=Q", raw)[0])


def write_sysctl(key: str, value: str) -> None:
    """Set a path below /proc/sys in this namespace."""
    failpoints.reached("sysctl")
    with open(f"{SYSCTLS}/{key}", "w") as file:
        file.write(value)


def _enter(name: str) -> None:
    try:
        fd = os.open(path(name), HANDLE)
    except FileNotFoundError as error:
        raise NoSuchNamespace(f"namespace {name}: does not exist") from error
    try:
        if not _is_netns(fd):
            raise NoSuchNamespace(f"namespace {name}: {path(name)} is a broken handle")
        libc.setns(fd, libc.CLONE_NEWNET)
    finally:
        os.close(fd)


def _go_home(home: int) -> None:
    try:
        libc.setns(home, libc.CLONE_NEWNET)
    except OSError:
        os.abort()  # never continue in a tenant's namespace


def _mark_loopback(mark: Mark) -> None:
    """Set the loopback's alias and bring it up, in one message."""
    change = rtnetlink.LinkChange(alias=mark.text, up=True)
    rtnetlink.change_link(rtnetlink.LOOPBACK, change)


def _unshare_to(target: str, mark: Mark) -> None:
    libc.unshare(libc.CLONE_NEWNET)
    _mark_loopback(mark)
    libc.mount(HERE, target, libc.MS_BIND)


def remove_draft(mark: Mark) -> None:
    """Remove the draft that a process killed in `create` left."""
    with _locked(), suppress(FileNotFoundError):
        os.unlink(_draft(mark))


def _draft(mark: Mark) -> str:
    return path(f".{mark.table}")


def _make_handle(name: str, mark: Mark) -> None:
    """Make the file to mount on, by rename, so that the name never exists without the mark.

    The lock allows one draft per installation, so that killed processes leave at most one.
    """
    draft = _draft(mark)
    with open(draft, "w") as file:
        failpoints.reached("write")
        file.write(mark.text)
    failpoints.reached("rename")
    os.rename(draft, path(name))


def _text_of_handle(name: str) -> str:
    """The mark in a file that is no namespace; "" for none."""
    try:
        fd = os.open(path(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        text = os.read(fd, MARK_SIZE).decode(errors="replace")
    except OSError:
        return ""  # a directory, or a mount of something else
    finally:
        os.close(fd)
    return text if text.startswith(ALIAS_PREFIX) else ""


def _remove_handle(name: str) -> bool:
    try:
        libc.umount(path(name), libc.MNT_DETACH)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise
    failpoints.reached("unlink")
    try:
        os.unlink(path(name))
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _locked() -> Iterator[None]:
    """Hold the directory's lock, as iproute2 does, against concurrent creation and deletion."""
    os.makedirs(DIRECTORY, mode=0o755, exist_ok=True)
    fd = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        _share_directory()
        yield
    finally:
        os.close(fd)


def _share_directory() -> None:
    """Make /run/netns a shared mount, as `ip netns` does.

    Removals then reach all mount namespaces; else a guest's would keep removed namespaces alive.
    """
    try:
        libc.mount("", DIRECTORY, libc.MS_SHARED)  # not the mounts below: each is shared as made
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        libc.mount(DIRECTORY, DIRECTORY, libc.MS_BIND | libc.MS_REC)
        libc.mount("", DIRECTORY, libc.MS_SHARED | libc.MS_REC)
