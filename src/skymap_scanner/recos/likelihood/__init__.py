"""Likelihoods that reconstructions share, compiled."""

from __future__ import annotations

__all__: list[str] = []
