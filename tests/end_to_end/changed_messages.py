"""Realtime messages written again with other objects in them: how tests make odd events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skymap_scanner.i3 import read_message, write_message

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write_changed(source: Path, path: Path, objects: Mapping[str, object]) -> None:
    """Write a message with these objects in its physics frame; None: without."""
    message = read_message(source)
    frame = message.frames[-1]
    for key, content in objects.items():
        if key in frame:
            frame.remove(key)
        if content is not None:
            frame.put(key, content)
    write_message(
        path,
        message.frames,
        version=message.version,
        streams=message.streams,
        summary=message.summary,
    )
