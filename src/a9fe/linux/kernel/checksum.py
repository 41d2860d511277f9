"""The Internet checksum."""

import struct


def internet_checksum(data: bytes) -> int:
    """The checksum of an even number of octets (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
