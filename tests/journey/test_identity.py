"""A guest proves its identity to a relying party that knows only the server's URL."""

import json
import os
import signal
import stat
import subprocess
from pathlib import Path

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.kit.conditions import eventually
from tests.lab.cloud import Cloud, Vm
from tests.lab.house import URL
from tests.lab.places import CLOUD_INIT, STATE

TREE = "/latest/dynamic/instance-identity"


def get(path: str) -> httpx.Response:
    with httpx.Client(timeout=30, trust_env=False, verify=False) as client:
        return client.get(path if "://" in path else URL + path)


def verified(token: str, audience: str) -> jwt.Claims:
    """Verify as a relying party does, from the discovery document on, with a foreign library."""
    discovery = get("/.well-known/openid-configuration").json()
    keys = KeySet.import_key_set(get(discovery["jwks_uri"]).json())
    found = jwt.decode(token, keys, algorithms=["RS256"])
    jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": discovery["issuer"]},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
    ).validate(found.claims)
    return found.claims


def token_of(vm: Vm) -> str:
    return vm.fetch("/openstack/latest/identity?audience=vault&nonce=17")


@pytest.mark.parametrize("kind", ["isolated", "routed"])
def test_a_guest_proves_who_it_is(cloud: Cloud, kind: str, tmp_path: Path) -> None:
    vm = cloud.vm(cloud.on(kind)).start("udhcpc")
    claims = verified(token_of(vm), "vault")
    assert (claims["sub"], claims["nonce"]) == (vm.instance["id"], "17")
    about = claims["a9fe"]["instance"]
    assert (about["name"], about["ips"]) == (vm.name, [vm.address])
    shown = cloud.house.a9fe("identity", "verify", token_of(vm), "--audience", "vault")
    assert json.loads(shown)["sub"] == vm.instance["id"]

    (tmp_path / "certificates").write_text(get("/a9fe/v1/identity/certificates").text)
    body = f"-----BEGIN PKCS7-----\n{vm.fetch(TREE + '/pkcs7')}\n-----END PKCS7-----\n"
    (tmp_path / "pkcs7").write_text(body)
    verify = ("openssl", "smime", "-verify", "-inform", "PEM", "-in", str(tmp_path / "pkcs7"))
    trusted = ("-CAfile", str(tmp_path / "certificates"))
    document = subprocess.run(
        [*verify, *trusted], check=True, capture_output=True, text=True
    ).stdout
    assert document == vm.fetch(f"{TREE}/document")
    assert json.loads(document)["openstack"]["uuid"] == vm.instance["id"]
    assert json.loads(document)["privateIp"] == vm.address


CRAWL = """
import json
from cloudinit.sources.helpers import ec2
print(json.dumps(ec2.get_instance_identity("2021-03-23")))
"""


def test_cloud_init_finds_the_identity_document(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.isolated()).start("udhcpc")
    program = ("/usr/bin/python3", "-c", CRAWL)
    found = json.loads(vm.sh("env", f"PYTHONPATH={CLOUD_INIT}", *program))
    assert found.keys() == {"document", "pkcs7", "rsa2048", "signature"}
    assert found["document"] == json.loads(vm.fetch(f"{TREE}/document"))
    assert found["document"]["instanceId"] == vm.fetch("/latest/meta-data/instance-id")


def test_a_restarted_service_signs_with_the_same_key_also_without_the_server(
    cloud: Cloud,
) -> None:
    vm = cloud.vm(cloud.isolated()).start("udhcpc")
    before = (token_of(vm).split(".")[0], vm.fetch(f"{TREE}/pkcs7"))
    (server,) = cloud.house.pids("server")
    os.kill(server, signal.SIGSTOP)
    try:
        signs = cloud.house.hops[-1]
        pid = cloud.house.kill_process(signs)
        cloud.house.successor(signs, pid)
        eventually(lambda: vm.status(TREE) == "200", what="signed answers")
        assert (token_of(vm).split(".")[0], vm.fetch(f"{TREE}/pkcs7")) == before
    finally:
        os.kill(server, signal.SIGCONT)


def test_the_keys_are_of_the_signing_process_alone(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.isolated()).start("udhcpc")
    token_of(vm)
    directory = STATE / "identity"
    [file] = directory.glob("*.json")
    assert directory.owner() == file.owner() == "a9fe-proxy"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    [key] = json.loads(cloud.house.a9fe("identity", "keys", "--json"))
    assert key["kid"] == file.stem
