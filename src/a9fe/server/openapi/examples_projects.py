"""The examples of what belongs to projects: security groups, quotas, tags, tokens."""

from a9fe.server.openapi.examples import Example, delete, get, post, put

GROUPS = (
    post(
        "/v2.0/security-groups",
        {"security_group": {"name": "web", "description": "web servers"}},
        group="security_group.id",
    ),
    get("/v2.0/security-groups?name=web"),
    get("/v2.0/security-groups/{group}"),
    put("/v2.0/security-groups/{group}", {"security_group": {"name": "front"}}),
    post(
        "/v2.0/security-group-rules",
        {
            "security_group_rule": {
                "security_group_id": "{group}",
                "direction": "ingress",
                "protocol": "tcp",
                "port_range_min": 443,
                "port_range_max": 443,
            }
        },
        rule="security_group_rule.id",
    ),
    get("/v2.0/security-group-rules?security_group_id={group}"),
    get("/v2.0/security-group-rules/{rule}"),
    put("/v2.0/security-group-rules/{rule}", {"security_group_rule": {"description": "HTTPS"}}),
)

QUOTAS = (
    put("/v2.0/quotas/default", {"quota": {"port": 1000}}),
    get("/v2.0/quotas"),
    get("/v2.0/quotas/tenant"),
    get("/v2.0/quotas/project"),
    get("/v2.0/quotas/default"),
    get("/v2.0/quotas/default/default"),
    get("/v2.0/quotas/default/details"),
    get("/v2.0/quotas/default/details.json"),
    delete("/v2.0/quotas/default"),
    get("/v2.0/availability_zones"),
)


def _tags(of: str) -> tuple[Example, ...]:
    tags = f"/v2.0/{of}/tags"
    return (
        put(tags, {"tags": ["blue", "green"]}),
        Example(method="PUT", path=f"{tags}/red", expect=201),
        get(tags),
        get(f"{tags}/red", expect=204),
        delete(f"{tags}/red"),
        delete(tags),
    )


TAGS: tuple[Example, ...] = (
    *_tags("networks/{network}"),
    *_tags("subnetpools/{subnetpool}"),
    *_tags("floatingips/{floatingip}"),
    *_tags("subnets/{subnet}"),
    *_tags("ports/{port}"),
    *_tags("routers/{router}"),
    *_tags("security-groups/{group}"),
)

TOKENS = (
    post(
        "/a9fe/v1/tokens",
        {"token": {"project_id": "lab", "role": "member", "description": "CI"}},
        token="token.id",  # noqa: S106 - where the answer has an id
    ),
    get("/a9fe/v1/tokens"),
    delete("/a9fe/v1/tokens/{token}"),
)

END = (
    delete("/v2.0/security-group-rules/{rule}"),
    delete("/v2.0/security-groups/{group}"),
)
