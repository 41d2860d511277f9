"""The options of a9fe, one row each: add an option here.

From these rows come the fields of `Config`, the file, A9FE_* variables, flags and `a9fe config`.
Names, meanings and defaults are Neutron's and Nova's where they have the option. If a default is
"", runtime.config derives the value from other options, unless the help says otherwise.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

from a9fe.metadata.openstack.provider_names import PROVIDERS, STATIC_JSON
from a9fe.model.policy import ANY_HOST
from a9fe.runtime import option_types as v
from a9fe.wire.limits import GUEST_REQUEST_BURST, GUEST_REQUEST_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option. `main`: --help shows its flag; `secret`: it is masked, and has no flag."""

    name: str
    section: str
    type: v.ValueType
    default: v.Value
    help: str
    main: bool
    secret: bool

    @property
    def flag(self) -> str:
        """The flag on the command line, e.g. "--state-path"."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable, e.g. "A9FE_STATE_PATH"."""
        return "A9FE_" + self.name.upper()


def _row(
    section: str,
    type: v.ValueType,
    default: v.Value,
    help: str,
    **flags: bool,
) -> Any:  # noqa: ANN401 - as dataclasses.field, so that the field keeps its own type
    """A field of Config with its option; `flags` are `main` and `secret`."""
    shown = {"main": False, "secret": False, **flags}
    option = Option(name="", section=section, type=type, default=default, help=help, **shown)
    return field(metadata={"option": option})


_paths = partial(_row, "paths")
_server = partial(_row, "server")
_access = partial(_row, "authentication")
_metadata = partial(_row, "metadata")
_rate_limit = partial(_row, "rate limit")
_dhcp = partial(_row, "dhcp")
_uplinks = partial(_row, "physical networks")
_logging = partial(_row, "logging")

HOST, SPLIT, DROP_IN = "host", "split", "drop-in"
"""Values of metadata_shape."""

_LIMIT = v.whole(-1, 2**31 - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every option with its value.

    `sources` maps each name to the source of the value: "default", "derived", a file's path, a
    variable ("A9FE_X") or a flag ("--x").
    """

    # paths
    state_path: str = _paths(v.PATH, "/var/lib/a9fe", "directory of persistent state", main=True)
    run_path: str = _paths(v.PATH, "/run/a9fe", "directory of sockets", main=True)
    hooks_path: str = _paths(
        v.PATH, "/etc/a9fe/hooks.d", "directory of programs to run on a port's ready and gone"
    )

    # server
    bind_host: str = _server(
        v.ADDRESS, "127.0.0.1", "address the API server listens on", main=True
    )
    bind_port: int = _server(v.PORT, 9696, "port the API server listens on", main=True)
    server_url: str = _server(
        v.URLS, "", "URL of the API server; several are tried in turn", main=True
    )
    database_connection: str = _server(v.TEXT, "", "SQLAlchemy URL of the database", secret=True)
    host: str = _server(v.OWN_HOST, "", "this host's name, as agents report it")
    server_user: str = _server(v.USER_NAME, "a9fe", "user the API server runs as")
    dhcp_agents_per_network: int = _server(v.whole(1, 16), 1, "DHCP agents that serve a network")
    agent_down_time: int = _server(v.SECONDS, 75, "seconds after which a silent agent is down")
    report_interval: int = _server(v.SECONDS, 30, "seconds between two reports of an agent")
    base_mac: str = _server(
        v.MAC_ADDRESS, "fa:16:3e:00:00:00", "first bytes of generated MAC addresses"
    )
    global_physnet_mtu: int = _server(
        v.whole(68, 65535, "bytes"), 1500, "MTU of networks, in bytes"
    )
    max_dns_nameservers: int = _server(v.COUNT, 5, "maximum of name servers of a subnet")
    max_subnet_host_routes: int = _server(v.COUNT, 20, "maximum of host routes of a subnet")
    pagination_max_limit: int = _server(
        _LIMIT, 1000, "maximum of items in a page of a list; -1: no limit"
    )
    quota_network: int = _server(_LIMIT, 100, "networks of a project; -1: no limit")
    quota_subnet: int = _server(_LIMIT, 100, "subnets of a project")
    quota_port: int = _server(_LIMIT, 500, "ports of a project")
    quota_router: int = _server(_LIMIT, 10, "routers of a project")
    quota_security_group: int = _server(_LIMIT, 10, "security groups of a project")
    quota_security_group_rule: int = _server(_LIMIT, 100, "security group rules of a project")
    quota_instances: int = _server(_LIMIT, 500, "instances of a project (Nova's instances)")
    quota_key_pairs: int = _server(_LIMIT, 100, "key pairs of a project (Nova's key_pairs)")
    quota_image_count_total: int = _server(_LIMIT, 100, "images of a project (Glance's)")
    max_allowed_address_pair: int = _server(
        v.COUNT, 10, "maximum of allowed address pairs of a port"
    )
    quota_floatingip: int = _server(_LIMIT, 50, "floating IPs of a project")
    quota_subnetpool: int = _server(_LIMIT, -1, "subnet pools of a project")
    quota_rbac_policy: int = _server(_LIMIT, 10, "RBAC policies of a project")
    dns_domain: str = _server(v.TEXT, "openstacklocal", "DNS domain of ports, in DHCP")
    default_availability_zone: str = _server(
        v.TEXT, "nova", "availability zone of an instance created without one"
    )

    # authentication
    auth_strategy: str = _access(
        v.one_of("none", "token", "keystone"),
        "none",
        "how callers are authenticated: none (loopback only), token or keystone",
    )
    auth_token: str = _access(
        v.TEXT, "", "API token of agents and commands; `a9fe up` generates them", secret=True
    )
    keystone_auth_url: str = _access(v.URL, "", "Keystone's URL, such as http://127.0.0.1:5000/v3")
    keystone_username: str = _access(v.TEXT, "neutron", "user that validates tokens at Keystone")
    keystone_password: str = _access(v.TEXT, "", "password of keystone_username", secret=True)
    keystone_project_name: str = _access(v.TEXT, "service", "project of keystone_username")
    keystone_user_domain_name: str = _access(v.TEXT, "Default", "domain of keystone_username")
    keystone_project_domain_name: str = _access(
        v.TEXT, "Default", "domain of keystone_project_name"
    )
    token_cache_time: int = _access(
        v.whole(0, 3600, "seconds"), 60, "seconds that a validated token is cached"
    )

    # metadata
    metadata_shape: str = _metadata(
        v.one_of_or_derived(HOST, SPLIT, DROP_IN),
        "",
        "processes of the metadata path: host (one for all hops), split (one for each), or drop-in"
        " (as split, for use with Neutron's or Nova's hops); split if another service is named",
        main=True,
    )
    metadata_proxy_shared_secret: str = _metadata(
        v.TEXT, "", "signs instance ids; generated at the first start", secret=True
    )
    metadata_proxy_socket: str = _metadata(v.PATH, "", "Unix socket where proxies ask hop 2")
    metadata_proxy_user: str = _metadata(
        v.USER_NAME, "a9fe-proxy", "user the proxy, or the metadata host, runs as"
    )
    metadata_proxy_group: str = _metadata(
        v.GROUP_NAME, "", "group the proxy runs as; its user's if empty"
    )
    metadata_agent_user: str = _metadata(
        v.USER_NAME, "a9fe-agent", "user the metadata agent runs as"
    )
    metadata_service_user: str = _metadata(v.USER_NAME, "a9fe-service", "user the service runs as")
    nova_metadata_host: str = _metadata(
        v.HOSTS,
        "127.0.0.1",
        "host of the metadata service, for the agent; several, as host or host:port, share the"
        " requests, and so do the addresses of a name",
    )
    nova_metadata_port: int = _metadata(
        v.PORT, 8775, "port of the metadata service, for the agent"
    )
    nova_metadata_protocol: str = _metadata(
        v.one_of("http", "https"), "http", "protocol of the metadata service, for the agent"
    )
    nova_metadata_insecure: bool = _metadata(
        v.BOOLEAN, False, "with https: accept any certificate of the metadata service"
    )
    auth_ca_cert: str = _metadata(
        v.PATH, "", "with https: CA certificates (PEM) of the service; those of the host if empty"
    )
    nova_client_cert: str = _metadata(
        v.PATH, "", "with https: the agent's client certificate (PEM); none if empty"
    )
    nova_client_priv_key: str = _metadata(
        v.PATH, "", "with https: private key (PEM) of nova_client_cert"
    )
    metadata_listen: str = _metadata(
        v.ADDRESS, "127.0.0.1", "address the service listens on", main=True
    )
    metadata_listen_port: int = _metadata(v.PORT, 8775, "port the service listens on", main=True)
    metadata_service_hosts: str = _metadata(
        v.one_of("own", ANY_HOST), "own", "hosts whose VMs the service serves: own, or * for all"
    )
    metadata_port: int = _metadata(v.PORT, 9697, "port of the proxy in a router namespace")
    metadata_access_mark: str = _metadata(
        v.MARK, "0x1", "packet mark of metadata traffic in a router"
    )
    min_rtr_adv_interval: int = _metadata(
        v.whole(3, 1350), 30, "least time between a router's advertisements, in seconds"
    )
    max_rtr_adv_interval: int = _metadata(
        v.whole(4, 1800), 100, "most time between a router's advertisements, in seconds"
    )
    enable_metadata_proxy: bool = _metadata(v.BOOLEAN, True, "serve metadata in router namespaces")
    metadata_backlog: int = _metadata(
        v.whole(1, 65535), 4096, "backlog of each listener, in connections"
    )
    dhcp_domain: str = _metadata(v.TEXT, "novalocal", "domain appended to an instance's hostname")
    enable_guest_attributes: bool = _metadata(
        v.BOOLEAN, False, "let guests write guest attributes"
    )
    enable_identity: bool = _metadata(
        v.BOOLEAN, True, "sign identity documents and tokens for guests"
    )
    identity_issuer: str = _metadata(
        v.URL, "", "issuer (iss) of signed tokens; the first server_url if empty"
    )
    identity_key_lifetime: int = _metadata(
        v.whole(3600, 30 * 86400, "seconds"), 7 * 86400, "seconds that a host signs with one key"
    )
    identity_token_lifetime: int = _metadata(
        v.whole(60, 86400, "seconds"), 3600, "seconds that a signed token is valid"
    )
    metadata_wait_max: int = _metadata(
        v.whole(0, 3600, "seconds"),
        25,
        "seconds that a guest may wait for a change; kept below upstream_timeout",
    )
    region_name: str = _metadata(v.TEXT, "RegionOne", "the cloud's region, as guests read it")
    vendordata_jsonfile_path: str = _metadata(
        v.PATH, "", "JSON file of static vendor data; none if empty"
    )
    vendordata_providers: tuple[str, ...] = _metadata(
        v.some_of(*PROVIDERS),
        (STATIC_JSON,),
        "StaticJSON, DynamicJSON, or both",
    )
    vendordata_dynamic_targets: tuple[str, ...] = _metadata(
        v.TARGETS, (), "name@url of each provider of DynamicJSON"
    )
    vendordata_dynamic_ssl_certfile: str = _metadata(
        v.PATH, "", "CA certificates that verify providers"
    )
    vendordata_dynamic_connect_timeout: int = _metadata(
        v.SECONDS, 5, "seconds to connect to a provider"
    )
    vendordata_dynamic_read_timeout: int = _metadata(
        v.SECONDS, 5, "seconds to wait for a provider's answer"
    )
    vendordata_dynamic_failure_fatal: bool = _metadata(
        v.BOOLEAN, False, "answer 503 if a provider fails"
    )
    vendordata_dynamic_cache_time: int = _metadata(
        v.whole(0, 86400, "seconds"), 300, "seconds that a provider's answer is cached"
    )
    http_tokens: str = _metadata(
        v.one_of("off", "optional", "observe", "required"),
        "optional",
        "IMDSv2 tokens: off, optional, observe (count requests without one) or required",
    )
    http_tokens_required_after: int = _metadata(
        v.whole(-1, 2**31 - 1, "seconds"),
        -1,
        "seconds after its creation from which an instance needs tokens; -1: never",
    )
    http_put_response_hop_limit: int = _metadata(
        v.whole(0, 64, "hops"), 0, "IP hop limit of responses with a token; 0: the kernel's"
    )
    upstream_timeout: int = _metadata(v.SECONDS, 30, "seconds that a hop waits for the next hop")
    source_lost_after: int = _metadata(
        v.SECONDS, 60, "seconds without the server after which a miss is 503, not 404"
    )

    # rate limit
    guest_request_rate: int = _rate_limit(
        v.COUNT, GUEST_REQUEST_RATE, "requests a second of one guest after its burst; 0: no limit"
    )
    guest_request_burst: int = _rate_limit(
        v.AT_LEAST_ONE, GUEST_REQUEST_BURST, "requests that one guest may send at once"
    )
    rate_limit_enabled: bool = _rate_limit(
        v.BOOLEAN, False, "limit the requests of each guest in the two windows below, too"
    )
    base_window_duration: int = _rate_limit(v.SECONDS, 10, "length of the base window in seconds")
    base_query_rate_limit: int = _rate_limit(v.AT_LEAST_ONE, 10, "requests in a base window")
    burst_window_duration: int = _rate_limit(
        v.SECONDS, 10, "length of the burst window in seconds"
    )
    burst_query_rate_limit: int = _rate_limit(v.AT_LEAST_ONE, 10, "requests in a burst window")

    # dhcp
    enable_isolated_metadata: bool = _dhcp(
        v.BOOLEAN, True, "serve metadata on isolated networks", main=True
    )
    force_metadata: bool = _dhcp(
        v.BOOLEAN, False, "serve metadata from DHCP on every network", main=True
    )
    enable_metadata_network: bool = _dhcp(
        v.BOOLEAN,
        False,
        "serve metadata to the networks of a router that has a port on a network with a subnet"
        " inside 169.254.0.0/16",
    )
    dhcp_lease_duration: int = _dhcp(
        v.whole(-1, 2**31 - 1), 86400, "lease time in seconds; -1: infinite"
    )
    dnsmasq_dns_servers: tuple[str, ...] = _dhcp(
        v.ADDRESSES, (), "name servers dnsmasq forwards to"
    )
    dnsmasq_lease_max: int = _dhcp(
        v.whole(1, 2**31 - 1), 16777216, "maximum of leases of one dnsmasq"
    )

    # physical networks
    bridge_mappings: tuple[str, ...] = _uplinks(
        v.MAPPINGS,
        (),
        "interface or bridge of each physical network, e.g. physnet1:br-ex, physnet2:eth1",
    )

    # logging
    debug: bool = _logging(
        v.BOOLEAN,
        False,
        "log at debug level and every guest's request, and show tracebacks",
        main=True,
    )
    log_format: str = _logging(
        v.one_of("text", "json"), "text", "format of log lines: text or json"
    )
    access_log_rate: int = _logging(
        v.COUNT,
        10,
        "lines of the access log in a second, at most, of each process of the metadata path"
        " (docs/metrics.md); 0: none",
    )
    log_dir: str = _logging(v.PATH, "", "also log to <log_dir>/<process>.log", main=True)

    sources: dict[str, str]


def _options() -> Iterator[Option]:
    for one in fields(Config):
        if "option" in one.metadata:
            yield replace(one.metadata["option"], name=one.name)


OPTIONS: tuple[Option, ...] = tuple(_options())
BY_NAME: dict[str, Option] = {option.name: option for option in OPTIONS}
