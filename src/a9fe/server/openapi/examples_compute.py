"""The examples of the compute and image APIs; they use the examples' network, flavor and image."""

from a9fe.server.openapi.examples import Example, delete, get, post, put
from a9fe.server.openapi.examples_network import KEY

IMAGES = (
    get("/image"),
    get("/image/"),
    post("/image/v2/images", {"name": "cirros", "os_distro": "cirros"}, cirros="id"),
    get("/image/v2/images?name=cirros"),
    get("/image/v2/images/{cirros}"),
    Example(
        method="PATCH",
        path="/image/v2/images/{cirros}",
        body=[{"op": "replace", "path": "/name", "value": "cirros-0.6"}],
        headers={"Content-Type": "application/openstack-images-v2.1-json-patch"},
    ),
    Example(method="PUT", path="/image/v2/images/{cirros}/file", body={}, expect=204),
    get("/image/v2/images/{cirros}/file", expect=404),
)

RECORDS = (
    get("/v2.1"),
    get("/v2.1/"),
    get("/v2.1/extensions"),
    get("/v2.1/limits"),
    get("/v2.1/os-availability-zone"),
    get("/v2.1/os-availability-zone/detail"),
    post(
        "/v2.1/flavors",
        {"flavor": {"name": "db.large", "vcpus": 4, "ram": 8192, "disk": 80}},
        200,
        large="flavor.id",
    ),
    get("/v2.1/flavors"),
    get("/v2.1/flavors/detail"),
    get("/v2.1/flavors/{large}"),
    get("/v2.1/flavors/{large}/os-extra_specs"),
    post("/v2.1/os-keypairs", {"keypair": {"name": "laptop", "public_key": KEY}}, 200),
    get("/v2.1/os-keypairs"),
    get("/v2.1/os-keypairs/laptop"),
)

SERVERS = (
    post(
        "/v2.1/servers",
        {
            "server": {
                "name": "vm1",
                "flavorRef": "{large}",
                "imageRef": "{cirros}",
                "networks": [{"uuid": "{network}"}],
                "key_name": "laptop",
                "user_data": "I2Nsb3VkLWNvbmZpZwo=",
                "metadata": {"role": "web"},
            }
        },
        202,
        server="server.id",
    ),
    get("/v2.1/servers?name=vm1"),
    get("/v2.1/servers/detail?limit=10"),
    get("/v2.1/servers/{server}", headers={"OpenStack-API-Version": "compute 2.96"}),
    put("/v2.1/servers/{server}", {"server": {"name": "web1"}}),
    get("/v2.1/servers/{server}/ips"),
    get("/v2.1/servers/{server}/os-interface"),
    get("/v2.1/servers/{server}/os-security-groups"),
    get("/v2.1/servers/{server}/os-volume_attachments"),
    get("/v2.1/servers/{server}/os-server-password"),
    delete("/v2.1/servers/{server}/os-server-password"),
    post("/v2.1/servers/{server}/metadata", {"metadata": {"tier": "front"}}, 200),
    get("/v2.1/servers/{server}/metadata"),
    put("/v2.1/servers/{server}/metadata/role", {"meta": {"role": "db"}}),
    get("/v2.1/servers/{server}/metadata/role"),
    delete("/v2.1/servers/{server}/metadata/role"),
    put("/v2.1/servers/{server}/metadata", {"metadata": {"role": "web"}}),
)

END = (
    delete("/v2.1/servers/{server}"),
    delete("/v2.1/os-keypairs/laptop", 202),
    delete("/v2.1/flavors/{large}", 202),
    delete("/image/v2/images/{cirros}"),
)
