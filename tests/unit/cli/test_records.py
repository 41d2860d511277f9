"""`a9fe flavor`, `image`, `keypair` and `clouds-yaml`."""

from pathlib import Path

import pytest

from a9fe.cli import clouds_yaml
from tests.kit.cli_shell import Shell
from tests.kit.ssh_keys import KEY

PAGE = Path(__file__).parents[3] / "docs" / "clients.md"


def test_flavors_and_images(shell: Shell):
    made = shell.json("flavor create web.small --vcpus 2 --ram 2048 --disk 20")
    assert (made["name"], made["vcpus"], made["ram"], made["disk"]) == ("web.small", 2, 2048, 20)
    assert "web.small" in shell.ok("flavor list")
    shell.ok("image create debian-12 --visibility public")
    assert shell.json("image show debian-12")["visibility"] == "public"
    shell.ok("image delete debian-12")
    assert shell.json("image list") == []


def test_a_keypair_from_a_file(shell: Shell, tmp_path: Path):
    (tmp_path / "id.pub").write_text(KEY + "\n")
    assert shell.json("keypair create desk", str(tmp_path / "id.pub"))["public_key"] == KEY
    (tmp_path / "id").write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert "public key" in shell.refused("keypair create bad", str(tmp_path / "id"))
    assert "cannot read" in shell.refused("keypair create bad", str(tmp_path / "none"))


@pytest.mark.parametrize("cloud", ["a9fe", "lab"])
def test_clouds_yaml_names_this_server(shell: Shell, cloud: str):
    said = shell.ok(f"clouds-yaml --cloud {cloud}")
    assert said == clouds_yaml.document(cloud, shell.api.url)
    assert f"  {cloud}:\n" in said
    assert f"    image_endpoint_override: {shell.api.url}/image\n" in said


def test_the_page_for_clients_has_what_the_command_prints():
    for token in ("", "a9fe_0123456789abcdef_..."):
        printed = clouds_yaml.document("a9fe", "http://127.0.0.1:9696", token)
        assert printed.partition("\n")[2] in PAGE.read_text()
