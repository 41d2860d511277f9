"""Upstreams by name: their addresses, also when these change or the look-up fails."""

import asyncio
import socket

from a9fe.http.upstream.addresses import Addresses, Health
from a9fe.http.upstream.names import MAX_ADDRESSES, Names, known_now, system_lookup
from a9fe.http.upstream.target import Target

NOVA = Target(host="nova", port=8775)
PLAIN = Target(host="192.0.2.9", port=8775)


class Lookup:
    """Answers from `found`; raises what a resolver raises for other names."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    async def __call__(self, name: str) -> list[str]:
        if name not in self.found:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self.found[name]


def test_a_name_has_the_addresses_of_the_last_look_up_that_succeeded():
    lookup, targets = Lookup(), [NOVA, PLAIN]
    addresses = Addresses(known_now(targets))
    names = Names(targets, addresses, lookup)

    def look_up() -> str:
        asyncio.run(names.look_up())
        return str(addresses)

    assert str(addresses) == look_up() == "192.0.2.9:8775"
    assert addresses.why == "nova: Temporary failure in name resolution"
    lookup.found["nova"] = ["192.0.2.1", "fd00::1", "192.0.2.1"]
    assert look_up() == "192.0.2.1:8775, [fd00::1]:8775, 192.0.2.9:8775"
    lookup.found.clear()
    assert look_up() == "192.0.2.1:8775, [fd00::1]:8775, 192.0.2.9:8775"
    first = addresses.choose()
    assert first is not None
    assert (first.target.server_name, first.authority) == ("nova", b"nova:8775")
    lookup.found["nova"] = ["192.0.2.2"]
    assert look_up() == "192.0.2.2:8775, 192.0.2.9:8775"
    assert first.health is Health.GONE
    lookup.found["nova"] = [f"192.0.2.{n}" for n in range(100, 200)]
    assert look_up().count("8775") == MAX_ADDRESSES + 1


def test_without_names_nothing_is_looked_up():
    asyncio.run(Names([PLAIN], Addresses([PLAIN]), Lookup()).keep_up_to_date())


def test_the_hosts_resolver_is_asked():
    assert "127.0.0.1" in asyncio.run(system_lookup("localhost"))
