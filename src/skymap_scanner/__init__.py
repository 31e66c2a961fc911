"""Sky maps of IceCube neutrino events: scan the sky, reconstruct every pixel, hand out the map."""

__all__ = ["__version__"]

__version__ = "0.1.0"
