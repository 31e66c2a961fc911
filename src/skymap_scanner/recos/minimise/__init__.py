"""Minimisers for a handful of parameters, compiled."""

from __future__ import annotations

__all__: list[str] = []
