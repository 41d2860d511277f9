"""The ledger of tests/lab/fire.py detects a server that allocates wrongly."""

import json

import httpx
import pytest

from tests.lab.fire import FULL, Ledger

FREE = ["10.0.0.2", "10.0.0.3"]


class Giver:
    """A server that gives `addresses` in turn and then refuses."""

    def __init__(self, addresses: list[str]) -> None:
        self.addresses = list(addresses)
        self.given = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            return httpx.Response(204)
        if not self.addresses:
            error = {"type": "IpAddressGenerationFailure", "message": "", "detail": ""}
            return httpx.Response(409, json={"NeutronError": error})
        self.given += 1
        fixed = [{"ip_address": self.addresses.pop(0)}]
        port = {"id": str(self.given), "mac_address": str(self.given), "fixed_ips": fixed}
        assert json.loads(request.content)["port"]["network_id"] == "n1"
        return httpx.Response(201, json={"port": port})


def fired(addresses: list[str], script: str) -> Ledger:
    """Run steps: c creates a port, d deletes the last one."""
    ledger = Ledger(network_id="n1", capacity=2)
    made = []
    with httpx.Client(transport=httpx.MockTransport(Giver(addresses)), base_url="http://x") as api:
        for step in script:
            if step == "c":
                made.append(ledger.create(api))
            else:
                ledger.delete(api, made.pop())
    return ledger


def test_right_answers_are_accepted():
    ledger = fired([*FREE, "10.0.0.3"], "ccdcc")
    assert ledger.wrong == []
    assert ledger.outcomes == {"201": 3, "204": 1, FULL: 1}


@pytest.mark.parametrize(
    ("addresses", "script", "wrong"),
    [
        (["10.0.0.2", "10.0.0.2"], "cc", "10.0.0.2 given twice"),
        (FREE[:1], "cc", f"{FULL} with 1 of 2 taken"),
        (FREE, "ccdc", f"{FULL} with 1 of 2 taken"),
    ],
)
def test_a_wrong_answer_is_found(addresses: list[str], script: str, wrong: str):
    (found,) = fired(addresses, script).wrong
    assert found.startswith(wrong)
