"""System calls that Python 3.11 does not have. Each raises OSError if it fails."""

import ctypes
import os

from a9fe.runtime import failpoints

CLONE_NEWNET = 0x40000000
CLONE_PARENT = 0x00008000
CLONE_CHILD_CLEARTID = 0x00200000
CLONE_CHILD_SETTID = 0x01000000
SYS_CLONE3 = 435  # on every architecture
SYS_FSOPEN, SYS_FSCONFIG, SYS_FSMOUNT = 430, 431, 432  # the same on all machines but Alpha
FSOPEN_CLOEXEC = FSMOUNT_CLOEXEC = 1
FSCONFIG_CMD_CREATE = 6
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SHARED = 1 << 20
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_NAME = 15
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_GET_TID_ADDRESS = 40
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
FREED_BLOCK = 128 * 1024  # bytes
CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc_with_gil = ctypes.PyDLL(None, use_errno=True)


class _CloneArgs(ctypes.Structure):
    """struct clone_args of linux/sched.h, its first version."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("pidfd", ctypes.c_uint64),
        ("child_tid", ctypes.c_uint64),
        ("parent_tid", ctypes.c_uint64),
        ("exit_signal", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("stack_size", ctypes.c_uint64),
        ("tls", ctypes.c_uint64),
    )


def _call(name: str, *arguments: object) -> int:
    result = int(getattr(_libc, name)(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace of `fd`."""
    _call("setns", fd, kind)


def unshare(flags: int) -> None:
    """Give the calling thread new namespaces."""
    failpoints.reached("unshare")
    _call("unshare", flags)


def mount(source: str, target: str, flags: int) -> None:
    """mount(2) without filesystem type and data: for binds and propagation."""
    failpoints.reached("mount")
    _call("mount", os.fsencode(source), os.fsencode(target), b"none", ctypes.c_ulong(flags), None)


def detached_mount(filesystem: str) -> int:
    """Mount a new instance of a filesystem without a place; its descriptor (fsopen(2)).

    It is gone with its last descriptor.
    """
    context = _call("syscall", SYS_FSOPEN, os.fsencode(filesystem), FSOPEN_CLOEXEC)
    try:
        _call("syscall", SYS_FSCONFIG, context, FSCONFIG_CMD_CREATE, None, None, 0)
        return _call("syscall", SYS_FSMOUNT, context, FSMOUNT_CLOEXEC, 0)
    finally:
        os.close(context)


def umount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    failpoints.reached("umount")
    _call("umount2", os.fsencode(target), flags)


def inotify_init(flags: int) -> int:
    """inotify_init1(2)."""
    return _call("inotify_init1", flags)


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    """inotify_add_watch(2)."""
    return _call("inotify_add_watch", fd, os.fsencode(path), ctypes.c_uint32(mask))


def prctl(option: int, argument: int = 0) -> None:
    """prctl(2) with one argument, the rest zero."""
    zero = ctypes.c_ulong(0)
    _call("prctl", option, ctypes.c_ulong(argument), zero, zero, zero)


def set_name(name: str) -> None:
    """Set the calling thread's name (comm), which the kernel cuts to 15 bytes."""
    text = ctypes.create_string_buffer(os.fsencode(name))
    prctl(PR_SET_NAME, ctypes.addressof(text))


def fork_sibling() -> int:
    """Fork as os.fork does, but the new process is a child of our parent (CLONE_PARENT).

    Our parent waits for it and gets its PR_SET_PDEATHSIG. Call it with one thread only. The C
    library is not asked, so its handlers of pthread_atfork do not run.
    """
    args = _CloneArgs(flags=CLONE_PARENT)
    if tid := _tid_address():  # the C library keeps the thread's id there
        args.flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID
        args.child_tid = tid
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = int(_libc_with_gil.syscall(SYS_CLONE3, ctypes.byref(args), ctypes.sizeof(args)))
    number = ctypes.get_errno()
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(number, f"clone3: {os.strerror(number)}")
    return pid


def _tid_address() -> int:
    """Return the address set by set_tid_address(2); 0 on a kernel that does not tell."""
    address = ctypes.c_void_p()
    try:
        prctl(PR_GET_TID_ADDRESS, ctypes.addressof(address))
    except OSError:
        return 0
    return address.value or 0


def overwrite(start: int, end: int, text: bytes) -> None:
    """Write `text` to our memory from address `start`, and zeros after it up to `end`.

    Raises ValueError if the text is longer.
    """
    if len(text) > end - start:
        raise ValueError(f"{len(text)} bytes do not fit into {end - start}")
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, text, len(text))


def capset(permitted: int) -> None:
    """Set the calling thread's effective and permitted capabilities; clear the inheritable."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    low, high = permitted & 0xFFFFFFFF, permitted >> 32
    _call("capset", header, (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0))


def use_one_arena() -> None:
    """Let all threads share one heap (glibc's M_ARENA_MAX): Python's threads take turns anyway.

    By default each thread gets a heap of its own, and none gets what another one has freed.
    """
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)


def give_memory_back(block: int = FREED_BLOCK) -> None:
    """Set glibc's M_MMAP_THRESHOLD and M_TRIM_THRESHOLD to `block` bytes (mallopt(3)).

    By default glibc raises both up to 32 MiB when large blocks are freed, and would keep the
    memory of a flood. A C library without mallopt is left as it is.
    """
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, block)
        mallopt(M_TRIM_THRESHOLD, block)
