"""The table of options, from which configuration, flags, variables and `a9fe config` come.

Names, meanings and defaults are Neutron's and Nova's where they have the option. Where a default
is "", the value is derived (runtime.config says how) unless `help` says otherwise.
"""

from dataclasses import dataclass

from a9fe.metadata.openstack import vendordata
from a9fe.model.policy import ANY_HOST
from a9fe.runtime import option_types as v


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `main`: its flag is shown by --help; every option but a secret has a flag."""

    name: str
    type: v.ValueType
    default: v.Value
    help: str
    section: str
    main: bool = False
    secret: bool = False

    @property
    def flag(self) -> str:
        """On the command line, e.g. "--state-path"."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """In the environment, e.g. "A9FE_STATE_PATH"."""
        return "A9FE_" + self.name.upper()


def _section(section: str, *rows: tuple[str, v.ValueType, v.Value, str]) -> tuple[Option, ...]:
    return tuple(
        Option(name, kind, default, text, section, main=name in MAIN, secret=name in SECRET)
        for name, kind, default, text in rows
    )


MAIN = frozenset(
    {
        "state_path",
        "run_path",
        "bind_host",
        "bind_port",
        "server_url",
        "metadata_listen",
        "metadata_listen_port",
        "enable_isolated_metadata",
        "force_metadata",
        "debug",
        "log_dir",
    }
)
SECRET = frozenset(
    {
        "metadata_proxy_shared_secret",
        "database_connection",
        "auth_token",
        "keystone_password",
    }
)

LIMIT = v.whole(-1, 2**31 - 1)

OPTIONS: tuple[Option, ...] = (
    *_section(
        "paths",
        ("state_path", v.PATH, "/var/lib/a9fe", "where state is kept"),
        ("run_path", v.PATH, "/run/a9fe", "where sockets are"),
    ),
    *_section(
        "server",
        ("bind_host", v.ADDRESS, "127.0.0.1", "address the API server listens on"),
        ("bind_port", v.PORT, 9696, "port the API server listens on"),
        ("server_url", v.URLS, "", "where the API server is; several are tried in turn"),
        ("database_connection", v.TEXT, "", "SQLAlchemy URL of the database"),
        ("host", v.OWN_HOST, "", "this host's name, as agents report it"),
        ("server_user", v.USER_NAME, "a9fe", "user the API server runs as"),
        ("dhcp_agents_per_network", v.whole(1, 16), 1, "DHCP agents that serve a network"),
        ("agent_down_time", v.SECONDS, 75, "seconds after which a silent agent is down"),
        ("report_interval", v.SECONDS, 30, "seconds between two reports of an agent"),
        ("base_mac", v.MAC_ADDRESS, "fa:16:3e:00:00:00", "what generated MACs begin with"),
        ("global_physnet_mtu", v.whole(68, 65535, "bytes"), 1500, "MTU of networks, in bytes"),
        ("max_dns_nameservers", v.COUNT, 5, "name servers a subnet may have"),
        ("max_subnet_host_routes", v.COUNT, 20, "host routes a subnet may have"),
        ("pagination_max_limit", LIMIT, 1000, "longest page of a list; -1: no limit"),
        ("quota_network", LIMIT, 100, "networks of a project; -1: no limit"),
        ("quota_subnet", LIMIT, 100, "subnets of a project"),
        ("quota_port", LIMIT, 500, "ports of a project"),
        ("quota_router", LIMIT, 10, "routers of a project"),
        ("quota_security_group", LIMIT, 10, "security groups of a project"),
        ("quota_security_group_rule", LIMIT, 100, "security group rules of a project"),
        ("quota_instances", LIMIT, 500, "instances of a project (Nova's instances)"),
        ("quota_key_pairs", LIMIT, 100, "key pairs of a project (Nova's key_pairs)"),
        ("quota_image_count_total", LIMIT, 100, "images of a project (Glance's)"),
        ("max_allowed_address_pair", v.COUNT, 10, "most allowed address pairs of a port"),
        ("quota_floatingip", LIMIT, 50, "floating IPs of a project"),
        ("quota_subnetpool", LIMIT, -1, "subnet pools of a project"),
        ("quota_rbac_policy", LIMIT, 10, "RBAC policies of a project"),
        ("dns_domain", v.TEXT, "openstacklocal", "domain of ports' names in DHCP"),
        ("default_availability_zone", v.TEXT, "nova", "zone of an instance that names none"),
    ),
    *_section(
        "who may do what",
        (
            "auth_strategy",
            v.one_of("none", "token", "keystone"),
            "none",
            "how callers are known: none (loopback only), token or keystone",
        ),
        ("auth_token", v.TEXT, "", "token that agents and commands send; `a9fe up` makes them"),
        ("keystone_auth_url", v.URL, "", "Keystone's URL, such as http://127.0.0.1:5000/v3"),
        ("keystone_username", v.TEXT, "neutron", "user that asks Keystone about tokens"),
        ("keystone_password", v.TEXT, "", "its password"),
        ("keystone_project_name", v.TEXT, "service", "its project"),
        ("keystone_user_domain_name", v.TEXT, "Default", "domain of that user"),
        ("keystone_project_domain_name", v.TEXT, "Default", "domain of that project"),
        ("token_cache_time", v.whole(0, 3600, "seconds"), 60, "how long Keystone's word counts"),
    ),
    *_section(
        "metadata",
        ("metadata_proxy_shared_secret", v.TEXT, "", "signs instance ids; made on first start"),
        ("metadata_proxy_socket", v.PATH, "", "Unix socket of the metadata agent"),
        ("metadata_proxy_user", v.USER_NAME, "a9fe-proxy", "user the proxy runs as"),
        ("metadata_proxy_group", v.GROUP_NAME, "", "group the proxy runs as; its user's if empty"),
        ("metadata_agent_user", v.USER_NAME, "a9fe-agent", "user the metadata agent runs as"),
        ("metadata_service_user", v.USER_NAME, "a9fe-service", "user the service runs as"),
        ("nova_metadata_host", v.HOST_NAME, "127.0.0.1", "where the agent finds the service"),
        ("nova_metadata_port", v.PORT, 8775, "port where the agent finds the service"),
        ("nova_metadata_protocol", v.one_of("http", "https"), "http", "http or https"),
        ("metadata_listen", v.ADDRESS, "127.0.0.1", "address the service listens on"),
        ("metadata_listen_port", v.PORT, 8775, "port the service listens on"),
        (
            "metadata_service_hosts",
            v.one_of("own", ANY_HOST),
            "own",
            "whose VMs the service answers: own, or * for the VMs of all hosts",
        ),
        ("metadata_port", v.PORT, 9697, "port of the proxy in a router namespace"),
        ("metadata_access_mark", v.MARK, "0x1", "packet mark of metadata traffic in a router"),
        ("enable_metadata_proxy", v.BOOLEAN, True, "serve metadata in router namespaces"),
        ("metadata_backlog", v.whole(1, 65535), 4096, "connections a listener may queue"),
        ("dhcp_domain", v.TEXT, "novalocal", "domain appended to an instance's hostname"),
        ("enable_guest_attributes", v.BOOLEAN, False, "guests may write attributes"),
        ("enable_identity", v.BOOLEAN, True, "sign identity documents and tokens for guests"),
        (
            "identity_issuer",
            v.URL,
            "",
            "who issues tokens, in them; the first server_url if empty",
        ),
        (
            "identity_key_lifetime",
            v.whole(3600, 30 * 86400, "seconds"),
            7 * 86400,
            "how long a host signs with one key",
        ),
        (
            "identity_token_lifetime",
            v.whole(60, 86400, "seconds"),
            3600,
            "how long a signed token holds",
        ),
        (
            "metadata_wait_max",
            v.whole(0, 3600, "seconds"),
            25,
            "how long a guest may wait for a change; always less than upstream_timeout",
        ),
        ("region_name", v.TEXT, "RegionOne", "the cloud's region, as guests read it"),
        ("vendordata_jsonfile_path", v.PATH, "", "vendor_data.json; none if empty"),
        (
            "vendordata_providers",
            v.some_of(*vendordata.PROVIDERS),
            (vendordata.STATIC_JSON,),
            "StaticJSON, DynamicJSON, or both",
        ),
        ("vendordata_dynamic_targets", v.TARGETS, (), "name@url of each provider of DynamicJSON"),
        ("vendordata_dynamic_ssl_certfile", v.PATH, "", "certificates to know providers by"),
        ("vendordata_dynamic_connect_timeout", v.SECONDS, 5, "seconds to reach a provider"),
        ("vendordata_dynamic_read_timeout", v.SECONDS, 5, "seconds it has for its answer"),
        ("vendordata_dynamic_failure_fatal", v.BOOLEAN, False, "503 where a provider fails"),
        (
            "vendordata_dynamic_cache_time",
            v.whole(0, 86400, "seconds"),
            300,
            "seconds that an answer is kept",
        ),
        (
            "http_tokens",
            v.one_of("off", "optional", "observe", "required"),
            "optional",
            "tokens of IMDSv2: off, optional, observe (who asks without) or required",
        ),
        (
            "http_tokens_required_after",
            v.whole(-1, 2**31 - 1, "seconds"),
            -1,
            "seconds after an instance was made from which it needs tokens; -1: never",
        ),
        (
            "http_put_response_hop_limit",
            v.whole(0, 64, "hops"),
            0,
            "IP hops that an answer with a token lives; 0: the kernel's limit",
        ),
        ("upstream_timeout", v.SECONDS, 30, "seconds a hop waits for the next one"),
        ("source_lost_after", v.SECONDS, 60, "seconds without server after which 404 is unsure"),
    ),
    *_section(
        "rate limit",
        ("rate_limit_enabled", v.BOOLEAN, True, "limit the rate of requests of each guest"),
        ("base_window_duration", v.SECONDS, 60, "length of the base window in seconds"),
        ("base_query_rate_limit", v.COUNT, 6000, "requests in a base window"),
        ("burst_window_duration", v.SECONDS, 10, "length of the burst window in seconds"),
        ("burst_query_rate_limit", v.COUNT, 2000, "requests in a burst window"),
    ),
    *_section(
        "dhcp",
        ("enable_isolated_metadata", v.BOOLEAN, True, "serve metadata on isolated networks"),
        ("force_metadata", v.BOOLEAN, False, "serve metadata from DHCP on every network"),
        ("dhcp_lease_duration", v.whole(-1, 2**31 - 1), 86400, "seconds; -1 for ever"),
        ("dnsmasq_dns_servers", v.ADDRESSES, (), "name servers dnsmasq forwards to"),
        ("dnsmasq_lease_max", v.whole(1, 2**31 - 1), 16777216, "leases one dnsmasq may give"),
    ),
    *_section(
        "logging",
        ("debug", v.BOOLEAN, False, "log at debug level, and show tracebacks"),
        ("log_format", v.one_of("text", "json"), "text", "text or json"),
        ("log_dir", v.PATH, "", "also log to <log_dir>/<process>.log"),
    ),
)
BY_NAME: dict[str, Option] = {option.name: option for option in OPTIONS}
