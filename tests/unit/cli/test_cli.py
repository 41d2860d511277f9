"""The commands that call the API, against a fake API."""

import base64
from pathlib import Path

import pytest
from click.testing import CliRunner

from a9fe.cli.main import COMMANDS, main
from tests.kit.cli_shell import Shell
from tests.kit.ssh_keys import KEY


@pytest.fixture
def lab(shell: Shell) -> str:
    """Create a network with a subnet of the same name, and return its id."""
    shell.ok("network create lab --subnet 10.1.0.0/24")
    return str(shell.json("network show lab")["id"])


# ---- networks, subnets, ports, routers


def test_a_network_with_its_subnet(shell: Shell):
    shown = shell.ok("network create lab --subnet 10.1.0.0/24 --no-gateway --dns 10.1.0.53")
    assert "| Field" in shown
    assert "| name " in shown
    (subnet,) = shell.json("subnet list")
    assert subnet["cidr"] == "10.1.0.0/24"
    assert subnet["name"] == "lab"
    assert subnet["gateway_ip"] is None
    assert subnet["dns_nameservers"] == ["10.1.0.53"]
    assert f"{subnet['id']} 10.1.0.0/24" in shell.ok("network list")


def test_a_refused_subnet_leaves_no_network(shell: Shell):
    assert "10.1.0.0/24x" in shell.refused("network create lab --subnet 10.1.0.0/24x")
    assert shell.json("network list") == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("network create lab --gateway 10.1.0.1", "--subnet"),
        ("network create lab --subnet 10.1.0.0/24 --gateway 10.1.0.1 --no-gateway", "exclude"),
        ("network create lab --subnet 10.1.0.0/24 --pool 10.1.0.5", "START,END"),
        ("network create", "NAME"),
        ("network create lab --mtu many", "many"),
        ("router add-interface r1", "SUBNET"),
        ("router add-interface r1 lab --port p", "SUBNET"),
        ("network list --filter name", "NAME=VALUE"),
        ("vm create web1", "--network"),
        ("vm create web1 --network lab --meta role", "NAME=VALUE"),
        ("vm create web1 --network lab --fixed-ip 10.1.0.5 --fixed-ip 10.1.0.6", "--fixed-ip"),
        ("netwrok list", "netwrok"),
        ("network lits", "lits"),
        ("network list --jsno", "--jsno"),
        ("ns-metadata-proxy", "--network_id"),
        ("ns-metadata-proxy --network_id x --router_id y", "--network_id"),
    ],
)
def test_wrong_usage_is_one_line_and_2(shell: Shell, line: str, says: str):
    assert says in shell.refused(line, status=2)
    assert [r for r in shell.api.requests if r[0] != "GET"] == []


def test_a_subnet_on_an_existing_network(shell: Shell, lab: str):
    made = shell.json(
        "subnet create lab 10.2.0.0/24 --pool 10.2.0.9,10.2.0.19 --route 10.9.0.0/24,10.2.0.2"
        " --no-dhcp --gateway 10.2.0.7"
    )
    assert made["network_id"] == lab
    assert made["allocation_pools"] == [{"start": "10.2.0.9", "end": "10.2.0.19"}]
    assert made["host_routes"] == [{"destination": "10.9.0.0/24", "nexthop": "10.2.0.2"}]
    assert (made["enable_dhcp"], made["gateway_ip"]) == (False, "10.2.0.7")
    assert shell.json("subnet create lab 2001:db8::/64")["ip_version"] == 6


def test_ports(shell: Shell, lab: str):
    made = shell.json("port create lab --name probe --fixed-ip 10.1.0.77 --mac fa:16:3e:00:00:01")
    assert made["network_id"] == lab
    assert made["fixed_ips"] == [{"ip_address": "10.1.0.77"}]
    table = shell.ok("port list --filter name=probe")
    assert "10.1.0.77" in table
    assert " lab " in table
    assert made["id"] not in shell.ok("port list --filter name=other")
    assert "deleted" in shell.ok("port delete probe")
    assert shell.json("port list") == []


def test_a_router_and_its_interfaces(shell: Shell, lab: str):
    router = shell.json("router create r1")
    subnet = shell.json("subnet show lab")
    for name in ("lab", subnet["id"], "10.1.0.0/24", lab):
        answer = shell.json("router add-interface r1", name)
        assert answer["subnet_id"] == subnet["id"]
        assert (answer["id"], answer["action"]) == (router["id"], "add_router_interface")
    assert shell.json("router remove-interface r1 lab")["action"] == "remove_router_interface"
    port = shell.json("port create lab --name up")
    assert shell.json("router add-interface r1 --port up")["port_id"] == port["id"]


def test_a_network_with_two_subnets_does_not_name_a_subnet(shell: Shell):
    shell.ok("network create lab")
    shell.ok("subnet create lab 10.1.0.0/24 --name a")
    shell.ok("subnet create lab 10.2.0.0/24 --name b")
    shell.ok("router create r1")
    said = shell.refused("router add-interface r1 lab")
    assert "10.1.0.0/24" in said
    assert "10.2.0.0/24" in said


def test_delete_checks_every_name_before_the_first(shell: Shell, lab: str):
    assert "nowhere" in shell.refused("network delete lab nowhere")
    assert len(shell.json("network list")) == 1
    shell.ok("port create lab --name p")
    assert "Unable to complete" in shell.refused("network delete lab")


def test_an_ambiguous_name_lists_the_ids(shell: Shell):
    ids = [shell.json("network create twin")["id"] for _ in range(2)]
    said = shell.refused("network show twin")
    assert all(id in said for id in ids)
    assert shell.json("network show", ids[0])["id"] == ids[0]


def test_control_characters_in_a_name_are_escaped(shell: Shell):
    shell.api.add("networks", name="\x1b]0;owned\x07 [red]x")
    table = shell.ok("network list")
    assert "\x1b" not in table
    assert "[red]x" in table


# ---- agents


def test_agents_and_the_networks_they_serve(shell: Shell, lab: str):
    for kind, binary in (("DHCP agent", "neutron-dhcp-agent"), ("L3 agent", "neutron-l3-agent")):
        shell.api.add(
            "agents", agent_type=kind, binary=binary, host="node1", alive=True, admin_state_up=True
        )
    assert "neutron-l3-agent" in shell.ok("agent list")
    assert shell.json("agent show neutron-l3-agent")["agent_type"] == "L3 agent"
    assert "2 are named 'node1'" in shell.refused("agent show node1")
    shell.ok("agent network-add node1 lab")
    assert [n["id"] for n in shell.json("agent networks node1")] == [lab]
    assert " lab " in shell.ok("agent networks node1")
    shell.ok("agent network-remove", shell.json("agent show neutron-dhcp-agent")["id"], "lab")
    assert shell.json("agent networks node1") == []
    assert "node9" in shell.refused("agent networks node9")
    assert shell.ok("agent disable neutron-l3-agent") == "agent neutron-l3-agent: disabled\n"
    assert shell.json("agent show neutron-l3-agent")["admin_state_up"] is False
    shell.ok("agent enable neutron-l3-agent")
    assert shell.json("agent show neutron-l3-agent")["admin_state_up"] is True
    assert "2 are named 'node1'" in shell.refused("agent disable node1")
    shell.ok("agent delete neutron-l3-agent")
    assert [a["agent_type"] for a in shell.json("agent list")] == ["DHCP agent"]


# ---- vms


def test_a_vm_with_all_metadata(shell: Shell, lab: str, tmp_path: Path):
    (tmp_path / "id.pub").write_text(KEY + "\n")
    (tmp_path / "data").write_bytes(b"\xff\x00#cloud-config\n")
    made = shell.json(
        "vm create web1 --network lab --fixed-ip 10.1.0.20 --meta role=web --meta a=b=c"
        " --flavor m1.small --image debian",
        *("--ssh-key", str(tmp_path / "id.pub"), "--user-data", str(tmp_path / "data")),
    )
    assert made["keypairs"] == [{"name": "me@desk", "public_key": KEY, "type": "ssh"}]
    assert base64.b64decode(made["user_data"]) == b"\xff\x00#cloud-config\n"
    assert made["metadata"] == {"role": "web", "a": "b=c"}
    assert (made["flavor"], made["image"]) == ("m1.small", "debian")
    (sent,) = [
        body for _, path, body in shell.api.requests if path.endswith("/instances") and body
    ]
    assert sent["instance"]["networks"] == [{"uuid": lab, "fixed_ip": "10.1.0.20"}]
    assert "10.1.0.20" in shell.ok("vm list")


def test_a_shown_vm_fits_a_table(shell: Shell, lab: str, tmp_path: Path):
    (tmp_path / "id.pub").write_text(KEY + "\n")
    (tmp_path / "data").write_bytes(b"#" * 5000)
    files = ("--ssh-key", str(tmp_path / "id.pub"), "--user-data", str(tmp_path / "data"))
    shell.ok("vm create web1 --network lab", *files)
    shown = shell.ok("vm show web1")
    (port,) = shell.json("port list")
    assert max(map(len, shown.splitlines())) <= 120
    for said in (f"{port['id']} {port['mac_address']} 10.1.0.", "me@desk (ssh)", "5000 bytes"):
        assert said in shown
    assert len(shell.json("vm show web1")["user_data"]) > 5000


def test_the_lines_that_boot_a_vm(shell: Shell, lab: str):
    lines = shell.ok("vm create web1 --network lab")
    (vm,) = shell.json("vm list")
    (port,) = shell.json("port list")
    tap, bridge = f"tap{port['id'][:11]}", f"brq{lab[:11]}"
    for said in (
        f"vm web1: {vm['id']}",
        port["id"],
        port["mac_address"],
        "10.1.0.10",
        f"ip tuntap add dev {tap} mode tap",
        f"ip link set dev {tap} mtu 1500 master {bridge} up",
        f"-netdev tap,id=n0,ifname={tap},script=no,downscript=no",
        f"-device virtio-net-pci,netdev=n0,mac={port['mac_address']}",
        "-smbios 'type=1,",
        "product=OpenStack Nova",
        f"uuid={vm['id']}",
        f"<source bridge={bridge!r}/>".replace("'", '"'),
        "<entry name='product'>OpenStack Nova</entry>",
        f"<uuid>{vm['id']}</uuid>",
    ):
        assert said in lines


def test_the_boot_lines_are_printed_again_with_the_mark_of_this_host(
    shell: Shell, lab: str, tmp_path: Path
):
    elsewhere = f"--state-path {tmp_path}/none"
    first = shell.ok(f"{elsewhere} vm create web1 --network lab").partition("\n")[2]
    assert " alias " not in first, "a state without installation"
    assert shell.ok(f"{elsewhere} vm boot-lines web1") == first
    (tmp_path / "installation").write_text(f"{'0f' * 16}\n{tmp_path}\n")
    again = shell.ok(f"--state-path {tmp_path} vm boot-lines web1")
    (port,) = shell.json("port list")
    assert f"ip link set dev tap{port['id'][:11]} alias a9fe:{'0f' * 16}\n" in again


def test_the_limit_of_user_data(shell: Shell, lab: str, tmp_path: Path):
    path = tmp_path / "data"
    path.write_bytes(b"x" * 49149)  # 65532 bytes in base64; one more makes 65536
    assert (
        len(shell.json("vm create a --network lab --user-data", str(path))["user_data"]) == 65532
    )
    path.write_bytes(b"x" * 49150)
    said = shell.refused("vm create b --network lab --user-data", str(path))
    assert str(path) in said
    assert "49149 bytes" in said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "AAAA",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nx y\n",
        f"{KEY}\n{KEY}\n",
        "\xff\xfe",
    ],
)
def test_a_file_that_is_not_a_public_key(shell: Shell, lab: str, tmp_path: Path, text: str):
    path = tmp_path / "key"
    path.write_text(text, encoding="latin-1")
    said = shell.refused("vm create a --network lab --ssh-key", str(path))
    assert str(path) in said
    assert "public key" in said


def test_a_file_that_is_not_there(shell: Shell, lab: str):
    for option in ("ssh-key", "user-data"):
        said = shell.refused(f"vm create a --network lab --{option} /nonexistent")
        assert f"--{option}" in said
        assert "/nonexistent" in said
    assert shell.json("vm list") == []


# ---- all commands


def test_a_server_that_does_not_run(shell: Shell):
    said = shell.refused("network list --server-url http://127.0.0.1:9")
    assert "http://127.0.0.1:9" in said
    assert "a9fe up" in said
    assert shell.refused("--server-url http://127.0.0.1:9 network list") == said


def test_debug_prints_the_traceback(shell: Shell):
    result = shell.type("network show nowhere --debug")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "Traceback" not in shell.type("network show nowhere").stderr


def test_a_defect_is_one_line_too(shell: Shell):
    shell.api.add("networks", name=7, subnets=None)
    result = shell.type("network list")
    assert result.exit_code == 1
    (said,) = result.stderr.splitlines()
    assert "defect" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(shell: Shell, name: str):
    help = shell.ok(name, "--help")
    assert f"a9fe {name}" in help.split("Options:")[0].partition("\n")[2]


def test_every_subcommand_has_help_with_an_example(shell: Shell):
    for group in ("network", "subnet", "port", "router", "agent", "vm"):
        listed = shell.ok(group, "--help").partition("Commands:")[2].split("\n")
        for name in [line.split()[0] for line in listed if line.strip()]:
            help = shell.ok(group, name, "--help").split("Options:")[0]
            assert f"a9fe {group} {name}" in help.partition("\n")[2], (group, name)


def test_help_works_with_a_broken_configuration(shell: Shell, tmp_path: Path):
    bad = tmp_path / "a9fe.toml"
    bad.write_text("bind_prot = 1")
    environment = {"A9FE_CONFIG_FILE": str(bad)}
    assert CliRunner().invoke(main, ["up", "--help"], env=environment).exit_code == 0
    result = CliRunner().invoke(main, ["network", "list"], env=environment)
    assert (result.exit_code, "bind_prot" in result.stderr) == (1, True)


def test_no_arguments_show_the_commands(shell: Shell):
    result = shell.type("")
    assert result.exit_code == 2
    assert "Commands:" in result.stderr


def test_the_version(shell: Shell):
    assert shell.ok("--version").startswith("a9fe 0.")


# ---- what agents report


def test_show_has_the_reason_of_a_problem(shell: Shell, lab: str):
    assert shell.json("network show lab")["status_reason"] == ""
    shell.api.reasons[lab] = "AddNamespace: File exists (DHCP agent on node1, since ...)"
    shown = shell.json("network show lab")
    assert (shown["status"], shown["status_reason"]) == ("ERROR", shell.api.reasons[lab])
    assert "File exists" in shell.ok("network show lab")


def test_agent_list_has_the_counts_of_each_agent(shell: Shell):
    counted = {"networks": 2, "ports": 0, "nova_metadata_port": 8775}
    given = {"agent_type": "Metadata agent", "host": "h1", "binary": "x"}
    shell.api.add("agents", **given, configurations=counted)
    assert "networks 2, ports 0 " in shell.ok("agent list")


def test_a_port_that_is_active_is_ready(shell: Shell, lab: str):
    port = shell.json("port create lab --name probe")
    shell.api.resources["ports"][port["id"]]["status"] = "ACTIVE"
    assert shell.ok("port wait-ready probe") == "port probe: ready\n"


def test_a_port_that_is_not_ready_in_time_is_said_with_what_is_missing(shell: Shell, lab: str):
    port = shell.json("port create lab --name probe")
    shell.api.reasons[port["id"]] = "waiting for tap1 on bridge brq1 of host node1"
    late = shell.type("port wait-ready probe --timeout 0")
    assert (late.exit_code, late.stdout) == (124, "")
    assert "not ready after 0 s: waiting for tap1 on bridge brq1" in late.stderr
