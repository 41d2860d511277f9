"""EC2's instance identity document. The same instance always gives the same bytes, as on EC2."""

import json

from a9fe.metadata import identifiers
from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.rendered import Json

VERSION = "2017-09-30"  # of the document's format, EC2's latest
# Keys that EC2 has for every instance; a9fe has no values for them.
UNSET = ("billingProducts", "devpayProductCodes", "kernelId", "marketplaceProductCodes")


def document(view: InstanceView, architecture: str) -> bytes:
    """Return the document: EC2's keys, and `openstack` for what EC2 has no key for."""
    instance = view.instance
    content: dict[str, Json] = {
        **dict.fromkeys(UNSET),
        "ramdiskId": None,
        "accountId": instance.project_id,
        "architecture": architecture,
        "availabilityZone": instance.availability_zone,
        "imageId": identifiers.image_id(instance),
        "instanceId": identifiers.instance_id(instance),
        "instanceType": instance.flavor,
        "openstack": {"image": instance.image, "name": instance.name, "uuid": instance.id},
        "pendingTime": instance.created_at,
        "privateIp": next(view.all_addresses(4), None),
        "region": view.settings.region,
        "version": VERSION,
    }
    return json.dumps(content, indent=2, separators=(",", " : "), sort_keys=True).encode("ascii")
