"""Arrival times in numpy, as the simulator draws them, against the kernel that fits them."""

from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.light.arrival import PandelConstants, PandelIce
from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.optics import SIN_CHERENKOV, TAN_CHERENKOV
from skymap_scanner.recos.likelihood.mpe import Light, light_parameters
from skymap_scanner.recos.likelihood.pandel import load_pandel_table
from skymap_scanner.recos.likelihood.track_model import ice_layers

ICE = IceModel.load()


@pytest.mark.parametrize("rho", [5.0, 40.0, 120.0])
@pytest.mark.parametrize("z_dom", [-420.0, -60.0, 250.0])
def test_simulator_and_likelihood_have_the_same_light(rho: float, z_dom: float) -> None:
    source = np.array([[0.0, 0.0, z_dom - rho / TAN_CHERENKOV]])  # an up-going track
    om_xyz = np.array([[rho, 0.0, z_dom]])
    arrival = PandelIce(ICE)
    shape, rate = arrival.gamma_parameters(source, om_xyz)
    out = np.empty((3, 3))
    light = Light(*ice_layers(ICE), PandelConstants().as_array(), load_pandel_table())
    z_emit, z_seen = ICE.effective_z(np.concatenate([source, om_xyz]))
    light_parameters(rho, z_emit, z_seen, light, out)
    sigma = np.exp(out[2, 0])
    # the kernel takes the ice as linear between the layers' centres, which are 10 m apart
    assert shape[0] == pytest.approx(np.exp(out[0, 0]), rel=0.1)
    assert rate[0] == pytest.approx(np.exp(out[1, 0]) / sigma, rel=0.1)
    model = arrival.model
    path = rho / SIN_CHERENKOV
    assert sigma == pytest.approx(np.hypot(model.jitter, model.jitter_growth * path))


def test_light_is_later_in_dust_and_far_away() -> None:
    arrival = PandelIce(ICE)
    clear, dusty = -350.0, -70.0

    def mean_delay(z: float, distance: float) -> float:
        shape, rate = arrival.gamma_parameters(
            np.array([[0.0, 0.0, z]]), np.array([[distance, 0.0, z]])
        )
        return float(shape[0] / rate[0])

    assert mean_delay(dusty, 80.0) > mean_delay(clear, 80.0)
    assert mean_delay(clear, 160.0) > 1.5 * mean_delay(clear, 80.0)


def test_light_from_below_is_earlier_than_light_from_above() -> None:
    arrival = PandelIce(ICE)
    dom = np.array([[0.0, 0.0, -350.0]])
    below, _ = arrival.gamma_parameters(dom - np.array([[0.0, 0.0, 40.0]]), dom)
    above, _ = arrival.gamma_parameters(dom + np.array([[0.0, 0.0, 40.0]]), dom)
    assert below[0] < above[0]  # modules look down: light from above had to turn round


def test_propagation_length_follows_the_diffusion_formula() -> None:
    arrival = PandelIce(ICE)
    z = -350.4
    points = np.array([[0.0, 0.0, z], [0.5, 0.0, z]])
    b_e, a = ICE.scattering(z), ICE.absorption(z)
    length = arrival.propagation_length(points[:1], points[1:])
    assert length[0] == pytest.approx(1.0 / np.sqrt(3.0 * a * (b_e + a)), rel=0.02)
