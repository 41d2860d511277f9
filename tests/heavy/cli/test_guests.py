"""`a9fe event`, and `a9fe vm password`, `attributes` and `config-drive`, with a real server."""

import base64
import io
import json
import stat
from pathlib import Path
from typing import Any

import pycdlib
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from a9fe.cli.api.password_decryption import decrypted
from a9fe.cli.host import iso_image as iso
from a9fe.cli.host.config_drive import write
from a9fe.model.errors import A9feError
from tests.kit.cli_shell import Typing, typing

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = RSA.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
OPENSSH = RSA.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
CURVE = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)
ENCRYPTED = base64.b64encode(RSA.public_key().encrypt(b"Pa$$w0rd", padding.PKCS1v15())).decode()


async def refused(shell: Typing, line: str, says: str, status: int = 1) -> None:
    result = await shell.type(line)
    assert (result.exit_code, result.stdout) == (status, ""), line
    (said,) = result.stderr.splitlines()
    assert says in said


async def loaded(shell: Typing, line: str) -> Any:
    return json.loads(await shell.ok(f"{line} --json"))


async def put(shell: Typing, path: str, body: dict[str, str]) -> None:
    answer = await shell.world.client.put(path, json=body)
    assert answer.status_code == 200, answer.text


# -- Events --------------------------------------------------------------------------------


def test_an_event_of_two_vms(tmp_path: Path):
    async def story(shell: Typing) -> None:
        first, _ = await shell.instance("web1"), await shell.instance("web2")
        said = await shell.ok(
            "event create system-reboot --instance web1 --instance web2 --instance web1"
            " --not-before 2026-11-29T02:00:00Z"
        )
        assert said.count("instance-event-") == 2
        one, two = await loaded(shell, "event list")
        assert (one["instance"], one["code"]) == ("web1", "system-reboot")
        assert one["not_before"] == "2026-11-29T02:00:00Z"
        path = f"/a9fe/v1/instances/{first['id']}/events/{one['id']}/acknowledge"
        assert (await shell.world.client.post(path)).status_code == 200
        (one,) = await loaded(shell, "event list --instance web1")
        assert one["acknowledged_at"]
        assert one["acknowledged_at"] in await shell.ok("event list")
        assert "completed" in await shell.ok(f"event complete {one['id']}")
        await shell.ok(f"event cancel {two['id']}")
        assert await loaded(shell, "event list") == []
        ended = await loaded(shell, "event list --all")
        assert [event["state"] for event in ended] == ["completed", "canceled"]

    typing(tmp_path, story)


def test_an_event_of_all_on_a_host(tmp_path: Path):
    async def story(shell: Typing) -> None:
        await shell.instance("other")
        lab = (await loaded(shell, "network create lab --subnet 10.1.0.0/24"))["id"]
        for name, host in (("a", "h1"), ("b", "h1"), ("c", "h2")):
            await shell.instance(name, network=lab, host=host)
        made = await loaded(shell, "event create system-maintenance --all-on-host h1")
        assert sorted(event["instance"] for event in made) == ["a", "b"]
        await refused(shell, "event create system-maintenance --all-on-host h3", "h3")

    typing(tmp_path, story)


def test_invalid_events(tmp_path: Path):
    async def story(shell: Typing) -> None:
        await shell.instance("web1")
        for line, says, status in (
            ("event create system-reboot", "--instance", 2),
            ("event create system-reboot --instance web1 --all-on-host h", "not both", 2),
            ("event create reboot --instance web1", "system-reboot", 2),
            ("event create system-reboot --instance web1 --not-before soon", "not_before", 1),
            ("event create system-reboot --instance nobody", "nobody", 1),
            ("event complete instance-event-1", "instance-event-1", 1),
        ):
            await refused(shell, line, says, status)
        assert await loaded(shell, "event list") == []

    typing(tmp_path, story)


# -- The password and attributes -----------------------------------------------------------


def test_a_password_is_read_decrypted_and_cleared(tmp_path: Path):
    async def story(shell: Typing) -> None:
        vm = await shell.instance("win1")
        await refused(shell, "vm password win1", "no password")
        path = f"/a9fe/v1/instances/{vm['id']}/password"
        await put(shell, path, {"password": ENCRYPTED})
        assert await shell.ok("vm password win1") == ENCRYPTED + "\n"
        (tmp_path / "key").write_bytes(PEM)
        line = f"vm password win1 --decrypt {tmp_path}/key"
        assert await shell.ok(line) == "Pa$$w0rd\n"
        assert await loaded(shell, line) == {"password": "Pa$$w0rd"}
        await refused(shell, line + "x", "cannot read")
        await refused(shell, line + " --clear", "exclude", 2)
        assert "cleared" in await shell.ok("vm password win1 --clear")
        assert await loaded(shell, "vm password win1") == {"password": ""}

    typing(tmp_path, story)


@pytest.mark.parametrize("key", [PEM, OPENSSH])
def test_keys_that_decrypt(key: bytes):
    assert decrypted(ENCRYPTED, key) == "Pa$$w0rd"


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        (ENCRYPTED, b"no key", "not usable"),
        (ENCRYPTED, CURVE, "another kind"),
        ("plain text", PEM, "not encrypted for this key"),
        (ENCRYPTED[4:], PEM, "not encrypted for this key"),
    ],
)
def test_passwords_that_cannot_be_decrypted(text: str, key: bytes, says: str):
    with pytest.raises(A9feError, match=says):
        decrypted(text, key)


def test_attributes(tmp_path: Path):
    async def story(shell: Typing) -> None:
        vm = await shell.instance("web1")
        path = f"/a9fe/v1/instances/{vm['id']}/guest-attributes/health/state"
        await put(shell, path, {"value": "ready\x1b[31m"})
        shown = await shell.ok("vm attributes web1")
        assert "\x1b" not in shown
        assert "ready" in shown
        (one,) = await loaded(shell, "vm attributes web1")
        assert one == {"namespace": "health", "key": "state", "value": "ready\x1b[31m"}

    typing(tmp_path, story)


# -- The config drive ----------------------------------------------------------------------


def read(image: bytes, names: str) -> tuple[str, dict[str, bytes]]:
    """Return the label and the files of an image by Rock Ridge or Joliet names."""
    disk = pycdlib.PyCdlib()
    disk.open_fp(io.BytesIO(image))
    facade = disk.get_rock_ridge_facade() if names == "rr" else disk.get_joliet_facade()
    files = {}
    for directory, _, inside in facade.walk("/"):
        for name in inside:
            path = f"{directory.rstrip('/')}/{name}"
            content = io.BytesIO()
            facade.get_file_from_iso_fp(content, path)
            files[path.lstrip("/")] = content.getvalue()
    label = disk.pvd.volume_identifier.decode().strip()
    disk.close()
    return label, files


FILES = {
    "openstack/2012-08-10/meta_data.json": b"{}",
    "openstack/latest/user_data": bytes(range(256)) * 300,
    "openstack/content/0000": b"",
    "ec2/latest/meta-data.json": b"[]",
    "top": b"x",
}


@pytest.mark.parametrize("names", ["rr", "joliet"])
def test_an_image_has_its_files_by_their_names(names: str):
    assert read(iso.image("config-2", FILES), names) == ("config-2", FILES)


@pytest.mark.parametrize(
    ("options", "label", "path"),
    [
        ("", "config-2", "openstack/latest/user_data"),
        (" --format nocloud", "cidata", "user-data"),
    ],
)
def test_a_drive_is_written_once(tmp_path: Path, options: str, label: str, path: str):
    async def story(shell: Typing) -> None:
        await shell.instance("web1", user_data=base64.b64encode(b"#!/bin/sh\n").decode())
        line = f"vm config-drive web1 -o {tmp_path}/drive.iso{options}"
        assert label in await shell.ok(line)
        file = tmp_path / "drive.iso"
        found, files = read(file.read_bytes(), "rr")
        assert (found, files[path]) == (label, b"#!/bin/sh\n")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        await refused(shell, line, "--force")
        file.chmod(0o644)
        await shell.ok(f"{line} --force")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        await refused(shell, f"vm config-drive web1 -o {tmp_path}/none/drive.iso", "No such file")

    typing(tmp_path, story)
    assert list(tmp_path.glob(".drive*")) == []


def test_a_link_is_not_followed(tmp_path: Path):
    target = tmp_path / "target"
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(A9feError, match="--force"):
        write(tmp_path / "link", b"x", force=False)
    write(tmp_path / "link", b"x", force=True)
    assert not target.exists()
    assert not (tmp_path / "link").is_symlink()
