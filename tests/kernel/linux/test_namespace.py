"""Named namespaces, compatible with `ip netns`; the main thread never changes its namespace."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from a9fe.linux.kernel import libc, namespace, sysctl_files
from a9fe.plan.mark import Mark
from tests.lab.places import MARK

OTHER = Mark("f" * 32)


def netns_list():
    said = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    return {line.split()[0] for line in said.stdout.splitlines()}


@pytest.fixture
def name():
    yield "t-space"
    if "t-space" in namespace.handles():
        namespace._remove_handle("t-space")


def test_created_and_deleted_as_ip_netns_sees_it(name):
    home = os.stat("/proc/self/ns/net").st_ino
    assert namespace.create(name, MARK)
    assert not namespace.create(name, MARK)
    assert name in netns_list()
    assert name in namespace.names()
    assert namespace.inode(name) not in (0, home)
    assert os.stat("/proc/self/ns/net").st_ino == home
    assert namespace.delete(name, MARK)
    assert not namespace.delete(name, MARK)
    assert name not in netns_list()
    assert namespace.inode(name) == 0


@pytest.mark.parametrize("alias", ["", OTHER.text])
def test_a_foreign_namespace_is_neither_used_nor_removed(name, alias):
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "alias", alias], check=True)
    before = namespace.inode(name)
    for act in (namespace.create, namespace.delete):
        with pytest.raises(namespace.NotOurs, match=f"namespace {name}: left alone, it is "):
            act(name, MARK)
    assert namespace.mark_of(name) == alias
    assert namespace.inode(name) == before


@pytest.mark.parametrize("text", ["", OTHER.text])
def test_a_foreign_file_is_neither_replaced_nor_removed(name, text):
    Path(namespace.path(name)).write_text(text)
    for act in (namespace.create, namespace.delete):
        with pytest.raises(namespace.NotOurs):
            act(name, MARK)
    assert Path(namespace.path(name)).read_text() == text


KILLED_IN_CREATE = """
import os, signal, sys
from a9fe.linux.kernel import libc, namespace, rtnetlink
from tests.lab.places import MARK
module, function = sys.argv[1:]
setattr(dict(libc=libc, rtnetlink=rtnetlink, namespace=namespace)[module], function,
        lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
namespace.create("t-space", MARK)
"""


@pytest.mark.parametrize(
    "step", ["namespace _make_handle", "libc unshare", "rtnetlink change_link", "libc mount"]
)
def test_a_namespace_whose_maker_was_killed_is_ours(name, step):
    namespace.create(name, MARK)  # makes the directory a shared mount, which uses mount too
    namespace.delete(name, MARK)
    argv = [sys.executable, "-c", KILLED_IN_CREATE, *step.split()]
    assert subprocess.run(argv, check=False).returncode == -signal.SIGKILL
    assert all(namespace.mark_of(found) == MARK.text for found in namespace.handles())
    assert namespace.create(name, MARK)
    assert namespace.mark_of(name) == MARK.text


def test_its_loopback_is_up(name):
    namespace.create(name, MARK)
    with namespace.inside(name):
        server = socket.create_server(("127.0.0.1", 0))
        with server, socket.create_connection(server.getsockname(), timeout=5) as client:
            assert namespace.socket_cookie(client) != 0


def test_a_broken_handle_is_no_namespace_and_is_replaced(name):
    namespace.create(name, MARK)
    before = namespace.cookie(name)
    libc.umount(namespace.path(name), libc.MNT_DETACH)
    assert namespace.handles() == [name]
    assert namespace.names() == []
    with pytest.raises(namespace.NoSuchNamespace, match="broken handle"):
        namespace.cookie(name)
    assert namespace.create(name, MARK)
    assert namespace.cookie(name) != before


def test_a_fifo_with_the_name_is_foreign_and_waits_for_nobody(name):
    os.mkfifo(namespace.path(name))
    try:
        assert not namespace.exists(name)
        with pytest.raises(namespace.NotOurs):
            namespace.create(name, MARK)
    finally:
        os.unlink(namespace.path(name))


def test_inside_returns_home_after_an_error(name):
    namespace.create(name, MARK)
    home = os.stat("/proc/thread-self/ns/net").st_ino
    with pytest.raises(KeyError, match=str(namespace.inode(name))), namespace.inside(name):
        raise KeyError(os.stat("/proc/thread-self/ns/net").st_ino)
    assert os.stat("/proc/thread-self/ns/net").st_ino == home


def test_entering_a_missing_namespace_names_it():
    with pytest.raises(namespace.NoSuchNamespace, match="namespace t-none: does not exist"):
        namespace.call_inside("t-none", lambda: None)


def test_sysctls_are_the_namespaces_own(name):
    namespace.create(name, MARK)
    keys = ("net/ipv4/ip_nonlocal_bind", "net/ipv4/no_such_key", "net/ipv6/conf/all/forwarding")
    here = sysctl_files.read(keys)
    with namespace.inside(name):
        namespace.write_sysctl("net/ipv4/ip_nonlocal_bind", "1")
        assert sysctl_files.read(keys) == {
            "net/ipv4/ip_nonlocal_bind": "1",
            "net/ipv6/conf/all/forwarding": "0",
        }
    assert sysctl_files.read(keys) == here


def test_a_socket_knows_its_namespace_from_anywhere(name):
    namespace.create(name, MARK)
    with namespace.inside(name):
        sock = socket.socket()
    with sock:
        assert namespace.socket_cookie(sock) == namespace.cookie(name)


def test_call_inside_raises_what_its_function_raises(name):
    namespace.create(name, MARK)
    with pytest.raises(KeyError):
        namespace.call_inside(name, lambda: {}["x"])
    assert namespace.call_inside(name, lambda: 7) == 7


def test_removal_reaches_other_mount_namespaces(name):
    namespace.create(name, MARK)
    script = "echo ready; read x; stat -f -c %T /run/netns/t-space 2>&1 | grep -c nsfs"
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "slave", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "ready\n"
    namespace.delete(name, MARK)
    said, _ = holder.communicate("go\n", timeout=10)
    assert said.strip() == "0"
