"""Where the light of a simulated cascade comes from: some metres behind its vertex.

References
----------
.. [1] L. Rädel and C. Wiebusch, Astropart. Phys. 44 (2013) 102: longitudinal profiles
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skymap_scanner.event.coordinates import direction_vector
from skymap_scanner.light.optics import cascade_length, hadronic_light_factor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skymap_scanner.units import FloatArray

__all__ = ["light_centre"]


def light_centre(truth: Mapping[str, Any]) -> FloatArray:
    """Return the mean position of the light of a cascade.

    Parameters
    ----------
    truth : mapping
        Truth of a simulated cascade (`skymap_scanner.simulation.truth.describe`).

    Returns
    -------
    ndarray, shape (3,)
        Vertex, moved along the direction by the mean depth of its electromagnetic and hadronic
        cascade [1]_, weighted with the light that they give on average [m].

    Examples
    --------
    >>> cascade = {"energy": 1e5, "hadronic_fraction": 0.0, "vertex": [0.0, 0.0, -300.0]}
    >>> light_centre(cascade | {"zenith": 0.0, "azimuth": 0.0}).round(2).tolist()
    [0.0, 0.0, -305.76]
    """
    share = truth["hadronic_fraction"]
    energy = truth["energy"] * np.array([1.0 - share, share])
    light = energy * np.array([1.0, float(hadronic_light_factor(energy[1])[0])])
    depths = []
    for of_part, is_hadronic in zip(energy, (False, True), strict=True):
        shape, scale = cascade_length(of_part, hadronic=is_hadronic)
        depths.append(float(shape) * scale)
    direction = direction_vector(truth["zenith"], truth["azimuth"])
    return np.asarray(truth["vertex"] + np.average(depths, weights=light) * direction)
