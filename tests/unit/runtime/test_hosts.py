"""Lists of hosts in options."""

import pytest

from a9fe.runtime.config import load
from a9fe.runtime.errors import ConfigError
from a9fe.runtime.hosts import parse_hosts

PARSED = {
    "127.0.0.1": [("127.0.0.1", 80)],
    "nova": [("nova", 80)],
    "a, b:8775 ,c": [("a", 80), ("b", 8775), ("c", 80)],
    "a,a:80,a": [("a", 80)],
    "fd00::1": [("fd00::1", 80)],
    "[fd00::1]": [("fd00::1", 80)],
    "[fd00::1]:8775,::1": [("fd00::1", 8775), ("::1", 80)],
    "fd00::1:8775": [("fd00::1:8775", 80)],
    "fe80::1%eth0": [("fe80::1%eth0", 80)],
}
WRONG = ["", ",", "a,", "a b", "http://a", "a:", "a:0", "a:65536", "a:x", "a:1:2", "[a]", "[::1"]
WRONG += ["::1]", "[::1]x", "-a", "a-", "[127.0.0.1]", "a/b", "a@b"]


@pytest.mark.parametrize(("text", "hosts"), PARSED.items())
def test_a_list_of_hosts(text, hosts):
    assert parse_hosts(text, 80) == hosts


@pytest.mark.parametrize("text", WRONG)
def test_no_list_of_hosts(text):
    with pytest.raises(ConfigError, match=r"nova_metadata_host: .* expected host names"):
        load({"nova_metadata_host": text})
