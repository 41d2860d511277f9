"""Events of ports for the operator's hooks."""

from dataclasses import replace

from a9fe.host_agent.port_events import PortEvent, PortEvents
from a9fe.model.resources import Port
from a9fe.plan import parts
from a9fe.plan.port_status import PortStates
from tests.kit.fake_model import dhcp_port, network, port, subnet

NET = network(1)
SUBNET = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
VM = replace(port(2, NET, (SUBNET, "10.1.0.5")), status="DOWN")
UP = replace(VM, status="ACTIVE")
OWN = dhcp_port(1, NET, (SUBNET, "10.1.0.2"))
PART, OTHER = parts.network(NET.id), parts.network("other")
COMES = PortStates(up=frozenset({VM.id}))
GOES = PortStates(down=frozenset({VM.id}))
STAYS = PortStates()


def seen(events: PortEvents, found: Port | None, states: PortStates) -> list[str]:
    ports = {PART: [found] if found else []}
    return [one.event for one in events.passed(ports, states, whole=False)]


def test_each_event_is_told_once_though_passes_repeat_the_state():
    events = PortEvents()
    assert seen(events, VM, COMES) == ["ready"]
    assert seen(events, VM, COMES) == [], "the server has not answered yet"
    assert seen(events, UP, STAYS) == []
    assert seen(events, UP, GOES) == ["gone"]
    assert seen(events, UP, GOES) == []
    assert seen(events, VM, STAYS) == []
    assert seen(events, VM, COMES) == ["ready"]


def test_a_port_that_is_deleted_or_moved_away_is_gone():
    events = PortEvents()
    assert seen(events, UP, STAYS) == [], "it was ready before the agent started"
    assert seen(events, None, STAYS) == ["gone"]


def test_a_network_that_is_gone_takes_its_ports_along_in_a_whole_pass():
    events = PortEvents()
    seen(events, UP, STAYS)
    assert events.passed({OTHER: []}, STAYS, whole=False) == []
    assert events.passed({OTHER: []}, STAYS, whole=True) == [PortEvent(event="gone", port=UP)]


def test_a_tap_that_went_while_the_agent_was_down_is_told():
    assert seen(PortEvents(), UP, GOES) == ["gone"]
    elsewhere = replace(UP, host="")
    assert seen(PortEvents(), elsewhere, GOES) == [], "the VM may be on another host"


def test_ports_of_the_network_itself_have_no_events():
    up = PortStates(up=frozenset({OWN.id}))
    assert seen(PortEvents(), replace(OWN, status="DOWN"), up) == []


def test_the_variables_of_a_hook_have_no_free_text():
    named = replace(VM, device_id="$(reboot)", project_id="web; rm", name="`id`")
    variables = PortEvent(event="ready", port=named).environment("node1")
    assert variables["A9FE_EVENT"] == "ready"
    assert variables["A9FE_ADDRESSES"] == "10.1.0.5"
    assert (variables["A9FE_INSTANCE_ID"], variables["A9FE_PROJECT_ID"]) == ("", "")
    assert variables["A9FE_DEVICE"] == f"tap{VM.id[:11]}"
    assert not any(c in value for value in variables.values() for c in "$`;\n")
