"""Archives written byte by byte, as IceTray writes them."""

from __future__ import annotations

import struct

BASE = b"\x01\x00"


def top(name: str, version: int, content: bytes) -> bytes:
    """An archive: object 0 of a class, its base class as object 1, then `content`."""
    head = b"\x00\x01\x02\x00" + struct.pack("<I", len(name)) + name.encode() + b"\x01"
    return head + bytes([version]) + struct.pack("<I", 0) + BASE + struct.pack("<I", 1) + content


class Ids:
    """Numbers objects as IceTray does."""

    def __init__(self) -> None:
        self.next = 2

    def __call__(self, class_info: bytes = b"") -> bytes:
        self.next += 1
        return class_info + struct.pack("<I", self.next - 1)
