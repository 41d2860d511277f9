"""Uplinks of our bridges in the host's own namespace (plan.uplinks).

An interface or bridge named in `bridge_mappings` is the operator's. An interface is put on our
bridge and gets our uplink group, in one message; it is refused if anybody uses it. A bridge gets
one end of a pair of ours, and nothing else of it changes: the end has the bridge's MTU, and a MAC
above those of network cards, because a bridge follows the lowest MTU and MAC of its devices.
"""

from a9fe.linux.kernel import links, rtnetlink
from a9fe.linux.kernel.links import LinkError
from a9fe.linux.kernel.rtnetlink import Link, LinkChange
from a9fe.plan import names
from a9fe.plan.host import Uplink
from a9fe.plan.mark import Mark

HIGH_MAC = "fe:ff"  # locally administered, as libvirt chooses


def set_uplink(uplink: Uplink, mark: Mark) -> None:
    """Connect our bridge. Raises LinkError with the reason, which names the physical network."""
    with links.about(uplink.bridge):
        _set(uplink, mark)


def delete_uplink(uplink: Uplink, mark: Mark) -> None:
    """Remove our pair, or release the interface."""
    links.delete_link(names.uplink(uplink.bridge), mark)
    release(uplink.device, mark)


def release(device: str, mark: Mark) -> None:
    """Take an interface with our uplink group off our bridge, and out of the group."""
    with links.about(device):
        _release(device, mark)


def _set(uplink: Uplink, mark: Mark) -> None:
    bridge, device = links.own(uplink.bridge, mark), _mapped(uplink, mark)
    if device.kind == "bridge":
        _make_pair(uplink.bridge, device, mark)
        _join(uplink.bridge, bridge, device, mark)
        return
    _check_unused(uplink, device, bridge, mark)
    change = LinkChange(master=bridge.index, group=mark.uplink_group, up=True)
    with links.about(device.name):
        rtnetlink.change_link(device.index, change)


def _release(name: str, mark: Mark) -> None:
    device = rtnetlink.find(name)
    if device is None or device.group != mark.uplink_group:
        return
    if _is_ours(_by_index(device.master), mark):
        rtnetlink.change_link(device.index, LinkChange(master=0))
    rtnetlink.change_link(device.index, LinkChange(group=0))


def _mapped(uplink: Uplink, mark: Mark) -> Link:
    """The mapped device. Raises LinkError if there is none, or it is ours."""
    if not uplink.device:
        words = f"physical network {uplink.physical_network}: not in bridge_mappings of this host"
        raise LinkError(words)
    found = rtnetlink.find(uplink.device)
    if found is None:
        raise _refusal(uplink, "does not exist")
    if mark.owns(found.alias, found.group) or found.index == rtnetlink.LOOPBACK:
        raise _refusal(uplink, "is not an interface or bridge of the operator")
    return found


def _refusal(uplink: Uplink, why: str) -> LinkError:
    words = f"physical network {uplink.physical_network}: {uplink.device} (bridge_mappings)"
    return LinkError(f"{words} {why}")


def _check_unused(uplink: Uplink, device: Link, bridge: Link, mark: Mark) -> None:
    """Refuse an interface that the host, another bridge or another installation uses."""
    if device.master not in (0, bridge.index):
        master = _by_index(device.master)
        if device.group == mark.uplink_group and not _is_ours(master, mark):
            _release(device.name, mark)  # the operator took it: our filters would stop that bridge
        raise _refusal(uplink, f"is on {master.name if master else 'a device'}; map that bridge")
    if device.group not in (0, mark.uplink_group):
        raise _refusal(uplink, f"is in device group {device.group}; expected the default group")
    for address in rtnetlink.addresses():
        if address.index == device.index and not address.cidr.startswith("fe80:"):
            why = f"has the address {address.cidr}, which the host would lose; map a bridge"
            raise _refusal(uplink, why)


def _make_pair(bridge: str, device: Link, mark: Mark) -> None:
    """Make the pair if it is missing. Both ends begin in the VM group, which no filter trusts."""
    inner, outer = names.uplink(bridge), names.uplink_peer(bridge)
    present = rtnetlink.find(inner)
    if present is not None and present.peer:
        return
    links.delete_link(inner, mark)
    links.delete_link(outer, mark)
    digits = bridge.removeprefix("brq").replace("-", "")
    mac = ":".join((HIGH_MAC, *(digits[i : i + 2] for i in (0, 2, 4, 6))))
    group, mtu = mark.vm_group, device.mtu
    with links.about(inner):
        peer = LinkChange(name=outer, mac=mac, group=group, mtu=mtu)
        rtnetlink.add_veth(LinkChange(name=inner, group=group, mtu=mtu), peer)


def _join(name: str, bridge: Link, device: Link, mark: Mark) -> None:
    inner, outer = names.uplink(name), names.uplink_peer(name)
    ends = ((outer, device, mark.vm_group), (inner, bridge, mark.uplink_group))
    for end, master, group in ends:
        links.keep_ipv6_off(end)
        index = links.existing(end).index
        marked = LinkChange(group=group, alias=mark.text, mtu=device.mtu)
        with links.about(end):
            rtnetlink.change_link(index, marked)
            rtnetlink.change_link(index, LinkChange(master=master.index, up=True))


def _is_ours(link: Link | None, mark: Mark) -> bool:
    return link is not None and mark.owns(link.alias, link.group)


def _by_index(index: int) -> Link | None:
    return rtnetlink.at(index) if index else None
