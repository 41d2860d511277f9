"""Router interfaces move at random, the host converges late or partly, the agent's model differs:
no guest is ever identified as a VM of another network than that of the request's interface.
"""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from a9fe.metadata_agent.lookup_key import LookupKey, RouterInterface
from a9fe.metadata_agent.port_lookup import identify
from a9fe.model.resources import Port, Resource
from a9fe.plan import names
from a9fe.plan.diff import operations
from a9fe.plan.routers import namespaces as l3
from a9fe.plan.settings import L3Settings
from a9fe.wire.message import Listener
from tests.kit.fake_host import FakeHost
from tests.kit.fake_model import HOST, FakeModel, bound, interface, network, port, router, subnet
from tests.kit.fake_ports import FakePorts, fresh

NETWORKS = [network(n) for n in (1, 2, 3)]
SUBNETS = [subnet(n, of, "10.1.0.0/24", "10.1.0.1") for n, of in enumerate(NETWORKS, 1)]
ROUTERS = [router(1), router(2)]
VM_ADDRESS, GATEWAY = "10.1.0.77", "10.1.0.1"
VMS = [
    port(90 + n, of, (on, VM_ADDRESS))
    for n, (of, on) in enumerate(zip(NETWORKS, SUBNETS, strict=True))
]
CONSTANT: list[Resource] = [
    *NETWORKS,
    *SUBNETS,
    *ROUTERS,
    *VMS,
    *[bound("l3", each) for each in ROUTERS],
]


@st.composite
def models(draw: st.DrawFn) -> FakeModel:
    """Interfaces 1 to 4: each on a router or none, on a network, on one of two addresses.

    This includes overlaps that the server would refuse.
    """
    found = FakeModel(CONSTANT)
    for number in draw(st.sets(st.integers(1, 4))):
        n = draw(st.integers(0, 2))
        address = draw(st.sampled_from([GATEWAY, "10.1.0.2"]))
        on = draw(st.sampled_from(ROUTERS))
        found.put(interface(number, on, NETWORKS[n], (SUBNETS[n], address)))
    return found


def key(listener: Listener, host: FakeHost, namespace: str) -> LookupKey:
    """Return the lookup key that the proxy sends for a VM behind this listener."""
    local = [
        address.cidr.partition("/")[0]
        for address in host.spaces[namespace].addresses
        if address.device == listener.device
    ]
    wire = RouterInterface(
        port_id=listener.port_id,
        network_id=listener.network_id,
        local_address=local[0] if local else "",
    )
    return LookupKey(guest_address=VM_ADDRESS, router_id=listener.id, interface=wire)


def check(host: FakeHost, known: FakeModel) -> None:
    view = FakePorts(*[each for each in known.all("port") if isinstance(each, Port)])
    for name, space in host.spaces.items():
        for listener in host.observe("l3").namespaces[name].listeners:
            bridge = space.links[listener.device].bridge
            found = identify(view, key(listener, host, name), fresh(), 60)
            if isinstance(found, Port):
                assert names.bridge(found.network_id) == bridge
                assert found in VMS


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], database=None)
@given(
    st.lists(
        st.tuples(models(), st.integers(0, 30), models()),  # planned, cut off after, known
        min_size=1,
        max_size=4,
    )
)
def test_no_guest_gets_the_identity_of_another_networks_vm(
    steps: list[tuple[FakeModel, int, FakeModel]],
) -> None:
    host = FakeHost()
    for planned, cut_off, known in steps:
        desired = l3.plan(planned, HOST, L3Settings())
        for number, operation in enumerate(operations(desired, host.observe("l3"))):
            check(host, known)
            check(host, planned)
            if number >= cut_off:
                break
            host.apply(operation)
        check(host, known)


def test_the_property_fails_without_the_interface() -> None:
    """With only the router's id, a guest is identified as another network's VM."""
    host = FakeHost()
    before, after = FakeModel(CONSTANT), FakeModel(CONSTANT)
    for n, on in enumerate(ROUTERS):
        before.put(interface(n + 1, on, NETWORKS[n], (SUBNETS[n], GATEWAY)))
        after.put(interface(n + 1, on, NETWORKS[1 - n], (SUBNETS[1 - n], GATEWAY)))
    for operation in operations(l3.plan(before, HOST, L3Settings()), host.observe("l3")):
        host.apply(operation)
    view = FakePorts(*[each for each in after.all("port") if isinstance(each, Port)])
    name = names.router_namespace(ROUTERS[0].id)
    (listener,) = host.observe("l3").namespaces[name].listeners
    asked = key(listener, host, name)
    assert not isinstance(identify(view, asked, fresh(), 60), Port)
    assert identify(view, replace(asked, interface=None), fresh(), 60) == VMS[1]
