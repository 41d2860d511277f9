"""The rules of a host's nftables tables, as text for `nft -f` (plan.filters.bridge_filter).

$NAMES stand for values. An IPv6 guest may read metadata from any link-local address of its own
choice (RFC 7217), which no other guest may take over. So the rules translate such a source, of a
frame with the port's own MAC, to one that only this port can have: bits 16 to 63, which are zero
(RFC 4291 section 2.5.6), become the MAC. Answers are translated back, and go to that MAC whatever
the namespace's neighbour table says. This keeps no state, so guests cannot disturb each other. The
namespaces send to such addresses by a route of their own (linux.kernel.way_back).

`nft` corrects the payload's checksum only when it writes a whole address. So the chains *_source6
change the checksum by means of an address that stays as it is: they put into its bits the MAC
inverted (to add the MAC to the sum) or the MAC (to subtract it), without a correction, and then
write the whole address as it was.
"""

from ipaddress import IPv6Address

from a9fe.model.resources import METADATA_IPV4, METADATA_IPV6
from a9fe.plan import ipv6

VALUES = {
    # The kernel hands frames to these MACs to the stack past the bridge (LLDP's even past the
    # bridge's hooks), as if the port were the host's own. IP and ARP are never sent to them.
    "LINK_GROUP": "01:80:c2:00:00:00-01:80:c2:00:00:0f",
    "METADATA4": METADATA_IPV4,
    "METADATA6": METADATA_IPV6,
    # Neighbour discovery: all of it may tell a MAC for its source address. It is never fragmented
    # (RFC 6980), and fragments could hide its target.
    "DISCOVERY": "{ 133, 134, 135, 136, 137 }",
    "SOURCE6": "@nh,64,128",  # ip6 saddr, in the type of the sets' targets
    "TARGET6": hex(int(IPv6Address(METADATA_IPV6))),
    "ASKED6": "ff02::1:fffe:a9fe",  # the solicited-node group of METADATA6 (RFC 4291)
    "LINK_LOCAL": ipv6.LINK_LOCAL,
    "TRANSLATED": ipv6.TRANSLATED,
    # The parts of a frame with an IPv6 packet that are copied.
    "TO_MAC": "@ll,0,48",
    "FROM_MAC": "@ll,48,48",
    "SOURCE_BITS": "@nh,80,48",  # bits 16 to 63 of the source
    "TO_BITS": "@nh,208,48",
    # Each solicitation makes an entry in the namespace's neighbour table, which the host shares.
    "LIMIT": "limit rate over 5/second burst 20 packets",
    "EUI64_BITS": "@nh,152,16",  # of the source; 0xfffe in an address made of a MAC
}

BRIDGE_CHAINS = """
  chain prerouting {
    type filter hook prerouting priority -300; policy accept;
    iifgroup $GROUP goto ours
    iifgroup $UPLINKS goto not_metadata
    iifname @taps goto tap
  }
  chain ours {
    ip6 saddr $METADATA6 ip6 daddr $TRANSLATED $TO_MAC set $TO_BITS
    accept
  }
  chain forward {
    type filter hook forward priority -300; policy accept;
    iifgroup { $GROUP, $UPLINKS } goto to_known
    iifname @taps goto to_known
    oifgroup { $GROUP, $UPLINKS } counter name refused_stranger drop
    oifname @taps counter name refused_stranger drop
  }
  chain to_known {
    oifgroup $GROUP accept
    oifgroup $UPLINKS iifgroup != $UPLINKS goto not_metadata
    oifname @taps goto to_tap
    counter name refused_stranger drop
  }
  chain to_tap {
    ip saddr $METADATA4 oifname . ether daddr . ip daddr @own4 accept
    ip saddr $METADATA4 counter name refused_metadata drop
    ip daddr $METADATA4 counter name refused_metadata drop
    ip6 saddr $METADATA6 ip6 daddr $TRANSLATED goto answer6
    ip6 saddr $METADATA6 meta l4proto icmpv6 accept
    ip6 saddr $METADATA6 oifname . ether daddr . ip6 daddr @own6 accept
    ip6 saddr $METADATA6 counter name refused_metadata drop
    ip6 daddr $METADATA6 counter name refused_metadata drop
    accept
  }
  chain answer6 {
    oifname . $TO_MAC @chaddrs oifname . $TO_BITS @chaddrs goto original_source6
    counter name refused_metadata drop
  }
  chain original_source6 {
    $SOURCE_BITS set $TO_BITS
    ip6 saddr set $METADATA6
    $TO_BITS set 0
    accept
  }
  chain not_metadata {
    ip saddr $METADATA4 counter name refused_metadata drop
    ip daddr $METADATA4 counter name refused_metadata drop
    ip6 saddr $METADATA6 counter name refused_metadata drop
    ip6 daddr $METADATA6 counter name refused_metadata drop
    arp saddr ip $METADATA4 counter name refused_metadata drop
    arp daddr ip $METADATA4 counter name refused_metadata drop
    icmpv6 type nd-neighbor-solicit @th,64,128 $TARGET6 counter name refused_metadata drop
    icmpv6 type nd-neighbor-advert @th,64,128 $TARGET6 counter name refused_metadata drop
    accept
  }
  chain input {
    type filter hook input priority -300; policy accept;
    iifgroup { $GROUP, $UPLINKS } counter name refused_host drop
    iifname @taps counter name refused_host drop
  }
  chain output {
    type filter hook output priority -300; policy accept;
    oifgroup { $GROUP, $UPLINKS } counter name refused_host drop
    oifname @taps counter name refused_host drop
  }
  chain tap {
    iifname . ether saddr @reserved_macs counter name refused_claim drop
    iifname @open goto free
    iifname . ether saddr @macs goto guarded
    counter name refused_mac drop
  }
  chain free {
    @ll,96,16 { 0x8100, 0x88a8, 0x9100 } @ll,116,12 0 counter name refused_priority_tag drop
    ether type arp jump arp_services
    ether type ip jump ip_services
    ether type ip6 jump ip6_services
    accept
  }
  chain guarded {
    ether type arp goto arp_form
    ether type ip meta l4proto != 255 goto ip_guarded
    ether type ip6 meta l4proto != 255 goto ip6_guarded
    counter name refused_ethertype drop
  }
  chain arp_form {
    arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } goto arp_guarded
    counter name refused_arp drop
  }
  chain arp_services {
    arp daddr ip $METADATA4 goto arp_metadata
    arp saddr ip $METADATA4 counter name refused_metadata drop
    iifname . arp saddr ip @reserved4 counter name refused_claim drop
  }
  chain arp_metadata {
    iifname . ether saddr . arp saddr ip != @own4 counter name refused_metadata drop
    iifname . arp saddr ether . arp saddr ip @own4 accept
    counter name refused_metadata drop
  }
  chain arp_guarded {
    jump arp_services
    iifname . arp saddr ether . arp saddr ip @own4 accept
    iifname . arp saddr ether . arp saddr ip @pairs4 accept
    iifname . arp saddr ether . arp saddr ip @wide4 accept
    arp saddr ip 0.0.0.0 goto arp_probe
    counter name refused_arp drop
  }
  chain arp_probe {
    iifname . arp daddr ip @reserved4 counter name refused_claim drop
    iifname . arp saddr ether . arp daddr ip @own4 accept
    iifname . arp saddr ether . arp daddr ip @pairs4 accept
    iifname . arp saddr ether . arp daddr ip @wide4 accept
    counter name refused_arp drop
  }
  chain ip_services {
    udp dport 67 goto dhcp
    ip daddr $METADATA4 jump connects
    ip daddr $METADATA4 iifname . ether saddr . ip saddr @own4 accept
    ip daddr $METADATA4 counter name refused_metadata drop
    ip saddr $METADATA4 counter name refused_metadata drop
  }
  chain connects {
    tcp flags & (syn | ack) != syn return
    $CONNECTS
  }
  chain dhcp {
    ip frag-off & 0x3fff != 0 counter name refused_dhcp drop
    iifname . @th,288,48 @chaddrs goto dhcp_client
    counter name refused_dhcp drop
  }
  chain dhcp_client {
    iifname @open accept
    ip saddr 0.0.0.0 udp sport 68 accept
    iifname . ether saddr . ip saddr @own4 accept
    counter name refused_address drop
  }
  chain ip_guarded {
    udp sport 67 counter name refused_dhcp drop
    udp dport 68 counter name refused_dhcp drop
    jump ip_services
    iifname . ip saddr @reserved4 counter name refused_claim drop
    iifname . ether saddr . ip saddr @own4 accept
    iifname . ether saddr . ip saddr @pairs4 accept
    iifname . ether saddr . ip saddr @wide4 accept
    counter name refused_address drop
  }
  chain ip6_services {
    ip6 saddr $METADATA6 counter name refused_metadata drop
    icmpv6 type nd-neighbor-advert @th,64,128 $TARGET6 counter name refused_metadata drop
    ip6 daddr $METADATA6 jump connects
    ip6 daddr $METADATA6 goto metadata6
    icmpv6 type nd-neighbor-solicit @th,64,128 $TARGET6 goto metadata6
    icmpv6 type nd-neighbor-advert iifname . @th,64,128 @reserved6 counter name refused_claim drop
    icmpv6 type $DISCOVERY iifname . $SOURCE6 @reserved6 counter name refused_claim drop
    exthdr frag exists icmpv6 type $DISCOVERY counter name refused_claim drop
  }
  chain metadata6 {
    iifname . ether saddr . ip6 saddr @own6 accept
    $EUI64_BITS 0xfffe counter name refused_metadata drop
    ip6 saddr $LINK_LOCAL iifname . $FROM_MAC @chaddrs goto other6
    counter name refused_metadata drop
  }
  chain other6 {
    tcp dport 80 goto unicast_source6
    icmpv6 type nd-neighbor-solicit @th,64,128 $TARGET6 goto solicit6
    counter name refused_metadata drop
  }
  chain solicit6 {
    update @solicited { iifname $LIMIT } counter name refused_solicitation drop
    ip6 daddr $METADATA6 goto unicast_source6
    ip6 daddr $ASKED6 goto group_source6
    counter name refused_metadata drop
  }
  chain unicast_source6 {
    $TO_BITS set $FROM_MAC ^ 0xffffffffffff
    ip6 daddr set $METADATA6
    $SOURCE_BITS set $FROM_MAC
    accept
  }
  chain group_source6 {
    $TO_BITS set $FROM_MAC ^ 0xffffffffffff
    ip6 daddr set $ASKED6
    $SOURCE_BITS set $FROM_MAC
    accept
  }
  chain ip6_guarded {
    exthdr frag exists jump fragment6
    udp sport 547 counter name refused_dhcp drop
    udp dport 546 counter name refused_dhcp drop
    icmpv6 type { nd-router-advert, nd-redirect, 138 } counter name refused_router_advert drop
    jump ip6_services
    iifname . $SOURCE6 @reserved6 counter name refused_claim drop
    icmpv6 type nd-neighbor-advert goto advert
    ip6 saddr :: goto unspecified
    goto sender6
  }
  chain fragment6 {
    frag nexthdr { tcp, udp, esp, sctp, udplite, dccp } return
    counter name refused_fragment drop
  }
  chain advert {
    iifname . @th,64,128 @targets goto sender6
    iifname . @th,64,128 @wide_targets goto sender6
    counter name refused_neighbour_advert drop
  }
  chain unspecified {
    icmpv6 type nd-neighbor-solicit iifname . @th,64,128 @targets accept
    icmpv6 type nd-neighbor-solicit iifname . @th,64,128 @wide_targets accept
    icmpv6 type { nd-router-solicit, 131, 132, 143 } accept
    counter name refused_neighbour_advert drop
  }
  chain sender6 {
    iifname . ether saddr . ip6 saddr @own6 accept
    iifname . ether saddr . ip6 saddr @pairs6 accept
    iifname . ether saddr . ip6 saddr @wide6 accept
    counter name refused_address drop
  }
"""

_INPUT = """
  chain input {
    type filter hook input priority -300; policy accept;
    iifgroup $GROUP counter drop
    ether daddr $LINK_GROUP counter drop
  }
"""

_FORWARD = """\
  chain forward {
    type filter hook forward priority -300; policy accept;
    ether daddr $LINK_GROUP counter drop
    iifgroup $GROUP oifgroup != $GROUP counter drop
    iifgroup != $GROUP oifgroup $GROUP counter drop
  }
"""

_OUTPUT = """\
  chain output {
    type filter hook output priority -300; policy accept;
    oifgroup $GROUP counter drop
  }
"""

INET_CHAINS = _INPUT + _FORWARD + _OUTPUT
ARP_CHAINS = _INPUT + _OUTPUT
