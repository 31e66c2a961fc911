r"""Photo-electrons of a muon track from closed forms: how many at each module, and when.

Charge follows geometry and diffusion: the Cherenkov cone of the track thins out as
:math:`1/\rho`, a cascade as :math:`1/D^2`, both damped by
:math:`e^{-\rho/\lambda_p}` with the propagation length
:math:`\lambda_p = 1/\sqrt{3 a (b_e + a)}` of diffuse light. Arrival times follow the gamma
distribution of scattered photons (Pandel). Good to a factor of two in charge; a full photon
propagation is not tried here.

References
----------
.. [1] J. Ahrens et al. (AMANDA), NIM A 524 (2004) 169, :doi:`10.1016/j.nima.2004.01.065`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.light.arrival import PandelIce
from skymap_scanner.light.optics import (
    MODULE_AREA,
    N_GROUP,
    PHOTONS_PER_GEV,
    PHOTONS_PER_METRE,
    SIN_CHERENKOV,
    TAN_CHERENKOV,
    angular_acceptance,
    cascade_length,
    hadronic_light_factor,
    muon_light_factor,
)
from skymap_scanner.simulation.cross_sections import PROCESSES
from skymap_scanner.units import LIGHT_SPEED

if TYPE_CHECKING:
    from skymap_scanner.event import Detector
    from skymap_scanner.light.ice import IceModel
    from skymap_scanner.simulation.muon import MuonPassage
    from skymap_scanner.units import FloatArray, IntArray

__all__ = ["PhotoElectrons", "Track", "track_photo_electrons"]

#: A module nearer than this is treated as if it were this far [m].
MIN_DISTANCE: Final = 1.0
#: Energy at which the reach of a cascade starts to grow [GeV].
_REACH_ENERGY: Final = 2.0


@dataclass(frozen=True, slots=True)
class Track:
    """A straight muon track.

    Attributes
    ----------
    start : ndarray, shape (3,)
        Where the muon starts [m].
    start_time : float
        When [ns].
    direction : ndarray, shape (3,)
        Unit vector of travel.
    """

    start: FloatArray
    start_time: float
    direction: FloatArray


@dataclass(frozen=True, slots=True)
class PhotoElectrons:
    """Row of the module in the detector and arrival time [ns] of each photo-electron."""

    om_index: IntArray
    time: FloatArray


@dataclass(frozen=True, slots=True)
class _Scene:
    """What all light sources of an event share; dead modules have efficiency 0."""

    track: Track
    detector: Detector
    efficiency: FloatArray
    arrival: PandelIce
    rng: np.random.Generator


def track_photo_electrons(
    track: Track,
    passage: MuonPassage,
    detector: Detector,
    ice: IceModel,
    rng: np.random.Generator,
) -> PhotoElectrons:
    """Draw the photo-electrons that a muon and its losses cause in the whole detector.

    Parameters
    ----------
    track : Track
        The muon's path; distances in `passage` count from its start.
    passage : MuonPassage
        Energies and losses along it.
    detector : Detector
        Geometry and efficiencies; dead modules see nothing.
    ice : IceModel
        Optical properties.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    PhotoElectrons
    """
    efficiency = np.where(detector.is_alive, detector.rel_efficiency, 0.0)
    scene = _Scene(track, detector, efficiency, PandelIce(ice), rng)
    drawn = [_bare_track(scene, passage)]
    energy = _electromagnetic_equivalent(passage, rng)
    for i in range(passage.loss_energy.size):
        hadronic = PROCESSES[int(passage.loss_process[i])] == "nuclear"
        shape, scale = cascade_length(passage.loss_energy[i], hadronic=hadronic)
        along = passage.loss_distance[i] + float(shape) * scale
        drawn.append(_cascade(scene, along, float(energy[i])))
    return PhotoElectrons(
        np.concatenate([part.om_index for part in drawn]),
        np.concatenate([part.time for part in drawn]),
    )


def _electromagnetic_equivalent(passage: MuonPassage, rng: np.random.Generator) -> FloatArray:
    """Energy of electromagnetic cascades that give as much light as the losses [GeV]."""
    nuclear = passage.loss_process == PROCESSES.index("nuclear")
    mean, spread = hadronic_light_factor(passage.loss_energy)
    factor = np.clip(rng.normal(mean, spread), 0.05, 1.0)
    return np.asarray(passage.loss_energy * np.where(nuclear, factor, 1.0))


def _bare_track(scene: _Scene, passage: MuonPassage) -> PhotoElectrons:
    track, detector, arrival = scene.track, scene.detector, scene.arrival
    relative = detector.om_xyz - track.start
    along = relative @ track.direction
    across = relative - along[:, None] * track.direction
    rho = np.maximum(np.linalg.norm(across, axis=1), MIN_DISTANCE)
    emitted = along - rho / TAN_CHERENKOV  # where on the track the light leaves
    inside = (emitted > 0) & (emitted < passage.length)
    source = track.start + emitted[:, None] * track.direction
    energy = passage.energy_at(np.clip(emitted, 0.0, passage.length))
    mean = np.zeros(rho.size)
    cos_eta = (detector.om_xyz[:, 2] - source[:, 2]) / (rho / SIN_CHERENKOV)
    mean[inside] = (
        PHOTONS_PER_METRE
        * muon_light_factor(energy[inside])
        * scene.efficiency[inside]
        * MODULE_AREA
        * angular_acceptance(np.clip(cos_eta[inside], -1, 1), arrival.ice.angular_acceptance)
        / (2 * np.pi * rho[inside] * SIN_CHERENKOV)
        * np.exp(-rho[inside] / arrival.propagation_length(source[inside], detector.om_xyz[inside]))
    )
    start = track.start_time + emitted / LIGHT_SPEED
    return _draw(scene, mean, source, start)


def _cascade(scene: _Scene, along: float, energy: float) -> PhotoElectrons:
    track, detector, arrival = scene.track, scene.detector, scene.arrival
    source = track.start + along * track.direction
    relative = detector.om_xyz - source
    distance = np.maximum(np.linalg.norm(relative, axis=1), MIN_DISTANCE)
    near = np.flatnonzero(distance < _reach(energy))
    distance, xyz = distance[near], detector.om_xyz[near]
    sources = np.broadcast_to(source, xyz.shape)
    cos_eta = np.clip(relative[near, 2] / distance, -1, 1)
    mean = (
        PHOTONS_PER_GEV
        * MODULE_AREA
        * energy
        * scene.efficiency[near]
        * angular_acceptance(cos_eta, arrival.ice.angular_acceptance)
        * np.exp(-distance / arrival.propagation_length(sources, xyz))
        / (4 * np.pi * distance**2)
    )
    everywhere = np.zeros(len(detector.om_xyz))
    everywhere[near] = mean
    start = np.full(len(everywhere), track.start_time + along / LIGHT_SPEED)
    return _draw(scene, everywhere, np.broadcast_to(source, detector.om_xyz.shape), start)


def _reach(energy: float) -> float:
    """Distance beyond which a cascade gives less than 1e-3 PE in the clearest ice [m]."""
    return 60.0 + 110.0 * float(np.log1p(energy / _REACH_ENERGY))


def _draw(scene: _Scene, mean: FloatArray, source: FloatArray, start: FloatArray) -> PhotoElectrons:
    """Draw numbers from Poisson and delays from the gamma distribution."""
    detector, rng = scene.detector, scene.rng
    n = rng.poisson(mean)
    om_index = np.repeat(np.arange(mean.size), n)
    distance = np.linalg.norm(detector.om_xyz - source, axis=1)
    seen = np.flatnonzero(n)
    shape, rate = np.zeros(mean.size), np.ones(mean.size)
    shape[seen], rate[seen] = scene.arrival.gamma_parameters(source[seen], detector.om_xyz[seen])
    delay = rng.gamma(shape[om_index]) / rate[om_index]
    direct = np.maximum(distance, MIN_DISTANCE) * N_GROUP / LIGHT_SPEED
    # colours travel at different speeds, which blurs the direct time as the path grows
    blur = rng.normal(0.0, scene.arrival.model.jitter_growth * distance[om_index])
    return PhotoElectrons(om_index, start[om_index] + direct[om_index] + blur + delay)
