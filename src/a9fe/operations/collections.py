"""The collections of the API: for each kind of resource its table, requests and operations.

`operations.resources` creates, lists, updates and deletes resources of every kind through them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from a9fe.api_tables import group_tables, instance_tables, pool_tables, record_tables
from a9fe.api_tables import neutron_tables as tables
from a9fe.api_tables.attributes import (
    AttributeTable,
)
from a9fe.api_tables.typed_requests import Request
from a9fe.model.compute import Flavor, Image, KeypairRecord
from a9fe.model.rbac import RbacPolicy
from a9fe.model.resources import (
    KINDS,
    Agent,
    Instance,
    Network,
    Port,
    Resource,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
)
from a9fe.model.subnet_pools import AddressGroup, AddressScope, FloatingIp, SubnetPool
from a9fe.operations.agents import agents, scheduling
from a9fe.operations.agents.agents import AgentChange
from a9fe.operations.instances import instances, records
from a9fe.operations.instances.instances import InstanceChange, NewInstance
from a9fe.operations.instances.records import (
    FlavorChange,
    ImageChange,
    KeypairChange,
    NewFlavor,
    NewImage,
    NewKeypair,
)
from a9fe.operations.networks import address_scopes, networks, rbac_policies, subnet_pools, subnets
from a9fe.operations.networks.address_scopes import AddressScopeChange, NewAddressScope
from a9fe.operations.networks.networks import NetworkChange, NewNetwork
from a9fe.operations.networks.rbac_policies import NewRbacPolicy, RbacPolicyChange
from a9fe.operations.networks.subnet_allocation import NewSubnet
from a9fe.operations.networks.subnet_pools import NewSubnetPool, SubnetPoolChange
from a9fe.operations.networks.subnets import SubnetChange
from a9fe.operations.ports import ports
from a9fe.operations.ports.ports import NewPort, PortChange
from a9fe.operations.routers import floating_ips, routers
from a9fe.operations.routers.floating_ips import FloatingIpChange, NewFloatingIp
from a9fe.operations.routers.routers import NewRouter, RouterChange
from a9fe.operations.security_groups import address_groups, security_groups
from a9fe.operations.security_groups.address_groups import AddressGroupChange, NewAddressGroup
from a9fe.operations.security_groups.security_groups import (
    NewSecurityGroup,
    NewSecurityGroupRule,
    SecurityGroupChange,
    SecurityGroupRuleChange,
)
from a9fe.operations.transaction import Transaction

N = TypeVar("N", bound=Request)
C = TypeVar("C", bound=Request)
R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A kind of resource with its attribute table and the operations on it.

    `request` is the class of what `create` takes, None where clients create none; `create_table`
    has its attributes if they are not those of `table`. `change` is the class of what `update`
    takes. `prepare` runs before a list is read. Built by `collection`, which checks the types.
    """

    table: AttributeTable
    cls: type[Resource]
    request: type[Request] | None
    change: type[Request]
    create: Callable[[Transaction, Request], Resource] | None
    update: Callable[[Transaction, Resource, Request], Resource]
    delete: Callable[[Transaction, Resource], None]
    prepare: Callable[[Transaction], None] | None = None
    create_table: AttributeTable | None = None


def _collection(
    table: AttributeTable,
    cls: type[R],
    change: type[C],
    update: Callable[[Transaction, R, C], R],
    delete: Callable[[Transaction, R], None],
) -> Collection:
    """Return a collection whose resources clients do not create."""

    def checked_update(tx: Transaction, old: Resource, wanted: Request) -> Resource:
        assert isinstance(old, cls)
        assert isinstance(wanted, change)
        return update(tx, old, wanted)

    def checked_delete(tx: Transaction, resource: Resource) -> None:
        assert isinstance(resource, cls)
        delete(tx, resource)

    return Collection(
        table=table,
        cls=KINDS[table.kind],
        request=None,
        change=change,
        create=None,
        update=checked_update,
        delete=checked_delete,
    )


def _creatable(
    base: Collection,
    request: type[N],
    create: Callable[[Transaction, N], Resource],
    *,
    prepare: Callable[[Transaction], None] | None = None,
    create_table: AttributeTable | None = None,
) -> Collection:
    """Return the collection, whose resources clients may create."""

    def checked_create(tx: Transaction, new: Request) -> Resource:
        assert isinstance(new, request)
        return create(tx, new)

    return replace(
        base, request=request, create=checked_create, prepare=prepare, create_table=create_table
    )


COLLECTIONS: dict[str, Collection] = {
    c.table.plural: c
    for c in (
        _creatable(
            _collection(tables.NETWORK, Network, NetworkChange, networks.update, networks.delete),
            NewNetwork,
            networks.create,
        ),
        _creatable(
            _collection(tables.SUBNET, Subnet, SubnetChange, subnets.update, subnets.delete),
            NewSubnet,
            subnets.create,
        ),
        _creatable(
            _collection(tables.PORT, Port, PortChange, ports.update, scheduling.delete_port),
            NewPort,
            ports.create,
        ),
        _creatable(
            _collection(tables.ROUTER, Router, RouterChange, routers.update, routers.delete),
            NewRouter,
            routers.create,
        ),
        _creatable(
            _collection(
                group_tables.SECURITY_GROUP,
                SecurityGroup,
                SecurityGroupChange,
                security_groups.update,
                security_groups.delete,
            ),
            NewSecurityGroup,
            security_groups.create,
            prepare=security_groups.prepare,
        ),
        _creatable(
            _collection(
                group_tables.SECURITY_GROUP_RULE,
                SecurityGroupRule,
                SecurityGroupRuleChange,
                security_groups.update_rule,
                security_groups.delete_rule,
            ),
            NewSecurityGroupRule,
            security_groups.create_rule,
            prepare=security_groups.prepare,
        ),
        _creatable(
            _collection(
                pool_tables.SUBNETPOOL,
                SubnetPool,
                SubnetPoolChange,
                subnet_pools.update,
                subnet_pools.delete,
            ),
            NewSubnetPool,
            subnet_pools.create,
        ),
        _creatable(
            _collection(
                pool_tables.ADDRESS_SCOPE,
                AddressScope,
                AddressScopeChange,
                address_scopes.update,
                address_scopes.delete,
            ),
            NewAddressScope,
            address_scopes.create,
        ),
        _creatable(
            _collection(
                pool_tables.FLOATINGIP,
                FloatingIp,
                FloatingIpChange,
                floating_ips.update,
                floating_ips.delete,
            ),
            NewFloatingIp,
            floating_ips.create,
        ),
        _creatable(
            _collection(
                pool_tables.RBAC_POLICY,
                RbacPolicy,
                RbacPolicyChange,
                rbac_policies.update,
                rbac_policies.delete,
            ),
            NewRbacPolicy,
            rbac_policies.create,
        ),
        _creatable(
            _collection(
                pool_tables.ADDRESS_GROUP,
                AddressGroup,
                AddressGroupChange,
                address_groups.update,
                address_groups.delete,
            ),
            NewAddressGroup,
            address_groups.create,
        ),
        _collection(tables.AGENT, Agent, AgentChange, agents.update, agents.delete),
        _creatable(
            _collection(
                instance_tables.INSTANCE,
                Instance,
                InstanceChange,
                instances.update,
                instances.delete,
            ),
            NewInstance,
            instances.create,
            create_table=instance_tables.INSTANCE_REQUEST,
        ),
        _creatable(
            _collection(
                record_tables.FLAVOR,
                Flavor,
                FlavorChange,
                records.update_flavor,
                records.delete_flavor,
            ),
            NewFlavor,
            records.create_flavor,
        ),
        _creatable(
            _collection(
                record_tables.IMAGE,
                Image,
                ImageChange,
                records.update_image,
                records.delete_image,
            ),
            NewImage,
            records.create_image,
        ),
        _creatable(
            _collection(
                record_tables.KEYPAIR,
                KeypairRecord,
                KeypairChange,
                records.keep_keypair,
                records.delete_keypair,
            ),
            NewKeypair,
            records.create_keypair,
        ),
    )
}

OURS = ("instances", "flavors", "images", "keypairs")
"""The collections below /a9fe/v1; all others are Neutron's, below /v2.0."""
