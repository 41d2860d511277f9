"""`a9fe imds report` and `a9fe vm set`, with a real server."""

from pathlib import Path

import pytest

from a9fe.cli.api.imds import of_version_1
from tests.kit.cli_shell import Typing, typing

UNSET = {
    "http_tokens": "",
    "http_tokens_required_after": None,
    "http_put_response_hop_limit": 0,
    "guest_attributes": "",
}


def test_the_report_lists_vms_with_requests_without_tokens(tmp_path: Path):
    async def story(shell: Typing) -> None:
        old = await shell.instance("old", metadata_options={"http_tokens": "observe"})
        both = await shell.instance("both")
        new = await shell.instance("new")
        await shell.asked(old["id"], 12, 0, "2020-01-01T00:00:00Z")
        await shell.asked(both["id"], 3, 4, "2999-01-01T00:00:00Z")
        await shell.asked(new["id"], 0, 5, "2999-01-01T00:00:00Z")
        report = await shell.ok("imds report")
        assert "new" not in report
        first, second = (report.index(vm["id"]) for vm in (both, old))
        assert first < second
        for cell in ("12", "2020-01-01T00:00:00Z", "observe", "default"):
            assert f" {cell} " in report[second:]
        latest = await shell.ok("imds report --hours 24")
        assert both["id"] in latest
        assert old["id"] not in latest
        assert '"v1_requests": 12' in await shell.ok("imds report --json")

    typing(tmp_path, story)


def test_options_of_a_vm_stay_until_changed(tmp_path: Path):
    async def story(shell: Typing) -> None:
        await shell.instance("web1")
        said = await shell.ok("vm set web1 --http-tokens observe --hop-limit 2")
        assert "observe" in said
        await shell.ok("vm set web1 --http-tokens-required-after 300 --guest-attributes on")
        assert await shell.options("web1") == {
            "http_tokens": "observe",
            "http_tokens_required_after": 300,
            "http_put_response_hop_limit": 2,
            "guest_attributes": "on",
        }
        await shell.ok(
            "vm set web1 --http-tokens default --http-tokens-required-after default"
            " --hop-limit 0 --guest-attributes default"
        )
        assert await shell.options("web1") == UNSET

    typing(tmp_path, story)


def test_invalid_options_of_a_vm(tmp_path: Path):
    async def story(shell: Typing) -> None:
        await shell.instance("web1")
        for line, status in (
            ("vm set web1", 2),
            ("vm set web1 --http-tokens maybe", 2),
            ("vm set web1 --http-tokens-required-after soon", 2),
            ("vm set web1 --hop-limit 65", 2),
            ("vm set nobody --http-tokens off", 1),
            ("vm set web1 --http-tokens-required-after 999999999999", 1),
        ):
            result = await shell.type(line)
            assert (result.exit_code, result.stdout) == (status, ""), line
            assert len(result.stderr.splitlines()) == 1
        assert await shell.options("web1") == UNSET

    typing(tmp_path, story)


@pytest.mark.parametrize(
    ("since", "found"), [("", "cba"), ("2026-11-22T15:00:00Z", "cb"), ("2027", "")]
)
def test_the_latest_come_first(since: str, found: str):
    usage = [
        {"instance_id": id, "v1_requests": n, "v1_last_at": at}
        for id, n, at in (
            ("a", 1, "2026-11-22T14:59:59Z"),
            ("b", 1, "2026-11-22T15:00:00Z"),
            ("c", 1, "2026-11-22T15:00:01Z"),
            ("d", 0, ""),
        )
    ]
    assert "".join(one["instance_id"] for one in of_version_1(usage, since)) == found
