"""Light in ice: optical properties of the South Pole ice, optical modules and light yields."""

from __future__ import annotations

__all__: list[str] = []
