"""What dnsmasq's files of hosts and leases say about leases."""

from pathlib import Path

import pytest

from a9fe.linux.dhcp import lease_file
from a9fe.plan.dhcp.dnsmasq import LEASES_FILE

FIRST = "fa:16:3e:00:00:01,host-10-0-0-5,10.0.0.5\n"
SIX = "fa:16:3e:00:00:01,host-fd00--5,[fd00::5],set:port-1\n"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", FIRST + SIX, {}),
        (FIRST + SIX, FIRST + SIX, {}),
        (FIRST + SIX, "", {"10.0.0.5": "", "fd00::5": ""}),
        (
            FIRST + SIX,
            (FIRST + SIX).replace(":01", ":02"),
            {"10.0.0.5": "fa:16:3e:00:00:02", "fd00::5": "fa:16:3e:00:00:02"},
        ),
        (FIRST + SIX, FIRST, {"fd00::5": ""}),
        ("not a host\n" + FIRST, FIRST, {}),
    ],
)
def test_addresses_with_another_mac_have_moved(before, after, expected):
    assert lease_file.moved(before, after) == expected


def test_leases_are_read_in_words_and_none_from_a_missing_file(tmp_path: Path):
    assert list(lease_file.rows(str(tmp_path))) == []
    (tmp_path / LEASES_FILE).write_text("1 fa:16:3e:00:00:01 10.0.0.5 * *\nduid 00:01\n")
    found = [["1", "fa:16:3e:00:00:01", "10.0.0.5", "*", "*"], ["duid", "00:01"]]
    assert list(lease_file.rows(str(tmp_path))) == found
