"""Pixels of the sphere: HEALPix arithmetic, progressions of nsides, regions, refinement (pure)."""
