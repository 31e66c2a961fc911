"""Reconstructions: how well does a particle from one direction of the sky explain the event.

A reconstruction is a class that inherits :class:`RecoInterface`; :func:`reco_names` lists what
there is, :func:`make_reco` makes one. Nothing here imports a compiled kernel before it is used.
"""

from __future__ import annotations

from skymap_scanner.recos.interface import RecoInterface
from skymap_scanner.recos.options import option
from skymap_scanner.recos.registry import get_reco_class, make_reco, reco_names

__all__ = ["RecoInterface", "get_reco_class", "make_reco", "option", "reco_names"]
