"""The server of a scan: reads the event, hands out pixels, collects fits, writes the map."""

from __future__ import annotations

__all__: list[str] = []
