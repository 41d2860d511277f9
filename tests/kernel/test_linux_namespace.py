"""Named namespaces as `ip netns` has them; nothing of ours moves the main thread."""

import os
import socket
import subprocess

import pytest

from a9fe.linux import libc, namespace

pytestmark = pytest.mark.kernel


def netns_list():
    said = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    return {line.split()[0] for line in said.stdout.splitlines()}


@pytest.fixture
def name():
    yield "t-space"
    namespace.delete("t-space")


def test_created_and_deleted_as_ip_netns_sees_it(name):
    home = os.stat("/proc/self/ns/net").st_ino
    assert namespace.create(name)
    assert not namespace.create(name)
    assert name in netns_list()
    assert name in namespace.names()
    assert namespace.inode(name) not in (0, home)
    assert os.stat("/proc/self/ns/net").st_ino == home
    assert namespace.delete(name)
    assert not namespace.delete(name)
    assert name not in netns_list()
    assert namespace.inode(name) == 0


def test_one_made_by_ip_netns_is_ours_too(name):
    subprocess.run(["ip", "netns", "add", name], check=True)
    assert not namespace.create(name)
    assert namespace.delete(name)
    assert name not in netns_list()


def test_its_loopback_is_up(name):
    namespace.create(name)
    with namespace.inside(name):
        server = socket.create_server(("127.0.0.1", 0))
        with server, socket.create_connection(server.getsockname(), timeout=5) as client:
            assert namespace.socket_cookie(client) != 0


def test_a_broken_handle_is_no_namespace_and_is_replaced(name):
    namespace.create(name)
    before = namespace.cookie(name)
    libc.umount(namespace.path(name), libc.MNT_DETACH)
    assert namespace.handles() == [name]
    assert namespace.names() == []
    with pytest.raises(namespace.NoSuchNamespace, match="broken handle"):
        namespace.cookie(name)
    assert namespace.create(name)
    assert namespace.cookie(name) != before


def test_inside_returns_home_after_an_error(name):
    namespace.create(name)
    home = os.stat("/proc/thread-self/ns/net").st_ino
    with pytest.raises(KeyError, match=str(namespace.inode(name))), namespace.inside(name):
        raise KeyError(os.stat("/proc/thread-self/ns/net").st_ino)
    assert os.stat("/proc/thread-self/ns/net").st_ino == home


def test_inside_a_missing_one_names_it():
    with pytest.raises(namespace.NoSuchNamespace, match="namespace t-none: does not exist"):
        namespace.call_inside("t-none", lambda: None)


def test_sysctls_are_the_namespaces_own(name):
    namespace.create(name)
    here = namespace.read_sysctl("net/ipv4/ip_nonlocal_bind")
    with namespace.inside(name):
        namespace.write_sysctl("net/ipv4/ip_nonlocal_bind", "1")
        assert namespace.read_sysctl("net/ipv4/ip_nonlocal_bind") == "1"
        assert namespace.read_sysctl("net/ipv4/no_such_key") is None
    assert namespace.read_sysctl("net/ipv4/ip_nonlocal_bind") == here


def test_a_socket_knows_its_namespace_from_anywhere(name):
    namespace.create(name)
    with namespace.inside(name):
        sock = socket.socket()
    with sock:
        assert namespace.socket_cookie(sock) == namespace.cookie(name)


def test_call_inside_raises_what_its_function_raises(name):
    namespace.create(name)
    with pytest.raises(KeyError):
        namespace.call_inside(name, lambda: {}["x"])
    assert namespace.call_inside(name, lambda: 7) == 7


def test_removal_reaches_other_mount_namespaces(name):
    namespace.create(name)
    script = "echo ready; read x; stat -f -c %T /run/netns/t-space 2>&1 | grep -c nsfs"
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "slave", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "ready\n"
    namespace.delete(name)
    said, _ = holder.communicate("go\n", timeout=10)
    assert said.strip() == "0"
