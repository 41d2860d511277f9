"""Collections below /a9fe/v1: instances, flavors, images and key pairs, with examples.

The examples run in their order; see server.neutron.collections for their variables.
"""

from a9fe.operations.collections import COLLECTIONS
from a9fe.server.asgi import NATIVE, Access, CollectionExamples, operations_of

CHAPTER = "a9fe"
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKpj3vZ6Tn9w0Jq1cX0m5Yx0T3uWm1gk3b5kq0s0f0aB me@desk"

EXAMPLES = {
    "instances": CollectionExamples(
        create={
            "instance": {
                "name": "web1",
                "networks": [{"uuid": "{network}"}],
                "user_data": "I2Nsb3VkLWNvbmZpZwo=",
                "keypairs": [{"name": "desk", "public_key": _KEY, "type": "ssh"}],
                "metadata": {"role": "web"},
                "flavor": "m1.tiny",
                "image": "debian-12",
            }
        },
        query="name=web1",
        update={"metadata": {"role": "db"}},
    ),
    "flavors": CollectionExamples(
        create={"flavor": {"name": "web.small", "vcpus": 2, "ram": 2048, "disk": 20}},
        update={"description": "for web servers"},
    ),
    "images": CollectionExamples(
        create={"image": {"name": "debian-12"}},
        query="name=debian-12",
        update={"properties": {"os_distro": "debian"}},
    ),
    "keypairs": CollectionExamples(
        create={"keypair": {"name": "desk", "public_key": _KEY}}, update={}
    ),
}
_WRITES = {"flavors": Access.ADMIN}

OPERATIONS = tuple(
    operation
    for plural, examples in EXAMPLES.items()
    for operation in operations_of(
        NATIVE, CHAPTER, COLLECTIONS[plural], examples, _WRITES.get(plural, Access.PROJECT)
    )
)
