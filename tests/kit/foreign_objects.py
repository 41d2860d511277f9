"""Objects of other software on a host, with names and addresses like ours, and a look at them."""

import os
import re
import signal
import subprocess
from pathlib import Path

OTHER = "cccccccc-2222-3333-4444-555555555555"
QDHCP, QROUTER = f"qdhcp-{OTHER}", f"qrouter-{OTHER}"
NAMES = re.compile("cccccccc|hostmeta")
TRANSIENT = re.compile("inet6|_lft")
LINKS = """
link add brqcccccccc-22 type bridge
link add tapcccccccc-22 type veth peer name vmcccc
link set tapcccccccc-22 master brqcccccccc-22 up
link add hostmeta type ifb
link set hostmeta up
addr add 169.254.169.254/32 dev hostmeta
netns add {0}
netns add {1}
link add tapcccccccc-33 type veth peer name ns-cccccccc-33 netns {0}
link set tapcccccccc-33 master brqcccccccc-22 up
link add tapcccccccc-44 type veth peer name qr-cccccccc-44 netns {1}
"""
RULES = """
table bridge a9fe_of_others {
  chain forward { type filter hook forward priority 0; policy accept; ether type arp accept
  }
}
table inet others { set taps { type ifname; elements = { "tap0" }
  }
}
"""


class ForeignObjects:
    """Neutron's namespaces, bridge, devices and dnsmasq; rules; the host's 169.254.169.254."""

    def __init__(self, directory: str) -> None:
        """`directory` is for dnsmasq's files."""
        self._files = Path(directory, "dhcp", OTHER)
        self._seen: list[str] = []

    def make(self) -> None:
        """Make the objects."""
        _run("ip", "-batch", "-", text=LINKS.format(QDHCP, QROUTER))
        _run("nft", "-f", "-", text=RULES)
        _run("iptables", "-t", "nat", "-A", "OUTPUT", "-d", "169.254.169.254", "-j", "ACCEPT")
        redirect = ["-p", "tcp", "--dport", "80", "-j", "REDIRECT", "--to-ports", "9697"]
        _in(QROUTER, "iptables", "-t", "nat", "-A", "PREROUTING", *redirect)
        _in(QDHCP, "ip", "addr", "add", "169.254.169.254/32", "dev", "ns-cccccccc-33")
        self._files.mkdir(parents=True)
        pid_file = f"--pid-file={self._files}/pid"
        _in(QDHCP, "dnsmasq", "--conf-file=/dev/null", "--port=0", pid_file)
        self._seen = self._look()

    def unchanged(self) -> bool:
        """Whether all objects are as they were made; a difference is an AssertionError."""
        found = self._look()
        assert found == self._seen, [line for line in found if line not in self._seen]
        return True

    def remove(self) -> None:
        """Remove the objects."""
        os.kill(int((self._files / "pid").read_text()), signal.SIGTERM)
        for space in (QDHCP, QROUTER):
            _run("ip", "netns", "del", space)
        for link in ("brqcccccccc-22", "tapcccccccc-22", "hostmeta"):
            _run("ip", "link", "del", link)
        _run("nft", "delete", "table", "bridge", "a9fe_of_others")
        _run("nft", "delete", "table", "inet", "others")
        _run("nft", "delete", "table", "ip", "nat")

    def _look(self) -> list[str]:
        pid = (self._files / "pid").read_text().strip()
        return [
            Path(f"/proc/{pid}/cmdline").read_text(),
            os.readlink(f"/proc/{pid}/ns/net"),
            *(line for line in _settled("ip", "-d", "addr") if NAMES.search(line)),
            _run("nft", "list", "table", "bridge", "a9fe_of_others"),
            _run("nft", "list", "table", "inet", "others"),
            *_settled("iptables", "-t", "nat", "-S"),
            *(line for space in (QDHCP, QROUTER) for line in _settled_in(space)),
        ]


def _settled(*argv: str) -> list[str]:
    """The lines that do not change by themselves, as those of IPv6 addresses do."""
    return [line for line in _run(*argv).splitlines() if not TRANSIENT.search(line)]


def _settled_in(space: str) -> list[str]:
    enter = ("nsenter", f"--net=/run/netns/{space}")
    return [
        *_settled(*enter, "ip", "-d", "addr"),
        *_settled(*enter, "iptables", "-t", "nat", "-S"),
    ]


def _in(space: str, *argv: str) -> str:
    return _run("nsenter", f"--net=/run/netns/{space}", *argv)


def _run(*argv: str, text: str = "") -> str:
    done = subprocess.run(argv, input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, (argv, done.stderr)
    return done.stdout
