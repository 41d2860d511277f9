"""The host name and EC2 ids that a guest reads."""

import hashlib
import re
import unicodedata
from functools import lru_cache

from a9fe.model.resources import Instance

EC2_DIGITS = 17  # of AWS's long ids
LABELS_REMEMBERED = 1024
LABEL_MAX = 63  # bytes of one DNS label (RFC 1035 section 2.3.4, kept by RFC 1123)

_BREAKS = re.compile(r"[\s._]+")
_FORBIDDEN = re.compile(r"[^a-z0-9-]+")


def hostname(instance: Instance) -> str:
    """Return the instance's name as one label of RFC 1123; server-<id> if nothing remains.

    Accents are dropped; blanks, dots and underscores become hyphens, as in Nova.
    """
    return _label(instance.name) or f"server-{instance.id}"


@lru_cache(maxsize=LABELS_REMEMBERED)
def _label(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    label = _FORBIDDEN.sub("", _BREAKS.sub("-", plain.lower()))
    return label.strip("-")[:LABEL_MAX].rstrip("-")


def full_hostname(instance: Instance, domain: str) -> str:
    """Return the host name followed by Nova's dhcp_domain, unless that is empty."""
    return f"{hostname(instance)}.{domain}" if domain else hostname(instance)


def instance_id(instance: Instance) -> str:
    """Return the EC2 id, e.g. "i-0000002a"."""
    return f"i-{instance.number:08x}"


def image_id(instance: Instance) -> str:
    """Return the EC2 id of the image, from a hash of its name: the same on every host.

    Nova numbers images in a database table instead; guests see no difference.
    """
    if not instance.image:
        return "ami-00000000"
    return f"ami-{hashlib.sha256(instance.image.encode('utf-8', 'replace')).hexdigest()[:8]}"


def reservation_id(instance: Instance) -> str:
    """Return the id of the request that created the instance; here each has its own."""
    return f"r-{instance.id.replace('-', '')[:8]}"


def ec2_id(kind: str, id: str) -> str:
    """Return one of our ids in EC2's form, e.g. "eni-3e7a1b520c4d4f1e9"."""
    return f"{kind}-{id.replace('-', '')[:EC2_DIGITS]}"
