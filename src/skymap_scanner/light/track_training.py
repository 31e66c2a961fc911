r"""Train the network of a track's times on sums along it (needs the ``[train]`` extra: torch).

There is no chance in what is learned: for tracks and modules that are drawn anew for every training
the light of all cascades along the track is summed (`track_light.summed_cdf`), and the loss is the
cross entropy of the light per interval of delay with that of the mixture. Half a million pairs take
minutes, so that no stage is kept but the network itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from skymap_scanner.light.mixture import LOG_WIDTHS
from skymap_scanner.light.propagation import TIME_OFFSET
from skymap_scanner.light.track_light import draw_track_pairs, summed_cdf, track_inputs
from skymap_scanner.light.training import Fit, batches, descend, n_steps, times_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from skymap_scanner.light.model import LightModel
    from skymap_scanner.light.network import Layers
    from skymap_scanner.units import FloatArray

    Float32Array = NDArray[np.float32]

__all__ = ["DELAYS", "train_track"]

#: Delays between which light is counted [ns]: even steps of the logarithm of delay + 2 ns.
DELAYS: Final = np.exp(np.linspace(np.log(TIME_OFFSET), np.log(8000.0), 65)[1:]) - TIME_OFFSET
#: Inputs that vary by less than this are no inputs.
_CONSTANT: Final = 1e-3
#: Pairs whose light is summed between two reports.
_CHUNK: Final = 4096


def train_track(
    model: LightModel,
    fit: Fit,
    n_pairs: int,
    report: Callable[[str, int, int, str], None] | None = None,
) -> Layers:
    """Train the network of a track's times.

    Parameters
    ----------
    model : LightModel
        Light of cascades, and the ice.
    fit : Fit
        How to train.
    n_pairs : int
        Pairs of track and module to train on.
    report : callable, optional
        Called with the stage, how far it is, its end, and a note.

    Returns
    -------
    Layers
    """
    rng = np.random.default_rng(fit.seed)
    torch.manual_seed(fit.seed)
    inputs, light = _summed(model, n_pairs, rng, report)
    wide = torch.from_numpy(inputs)
    mean, width = wide.mean(0), wide.std(0)
    # The angle of the fastest light is always the same: what depends on it alone says nothing, and
    # must not be listened to, for a likelihood that softens the closest approach has it a bit off.
    width[width < _CONSTANT] = torch.inf
    network = times_network(mean, width, fit.n_hidden)
    edges = torch.from_numpy(np.log(DELAYS + TIME_OFFSET).astype(np.float32))

    def losses() -> Iterator[torch.Tensor]:
        for rows in batches(n_pairs, fit, rng):
            raw, _ = network(torch.from_numpy(inputs[rows]))
            yield _divergence(raw, torch.from_numpy(light[rows]), edges)

    end = n_steps(n_pairs, fit)
    descend(
        network,
        fit,
        end,
        losses(),
        None if report is None else lambda k, n, loss: report("train track", k, n, f"{loss:.5f}"),
    )
    return network.layers()


def _summed(
    model: LightModel,
    n_pairs: int,
    rng: np.random.Generator,
    report: Callable[[str, int, int, str], None] | None,
) -> tuple[Float32Array, Float32Array]:
    """Return inputs, and the light in each interval of delay, the last one without end."""
    inputs: list[Float32Array] = []
    light: list[Float32Array] = []
    for first in range(0, n_pairs, _CHUNK):
        pairs = draw_track_pairs(min(_CHUNK, n_pairs - first), rng)
        cdf: FloatArray = summed_cdf(model, pairs, DELAYS)
        inputs.append(track_inputs(model, pairs))
        light.append(np.diff(cdf, axis=1, prepend=0.0, append=1.0).astype(np.float32))
        if report is not None:
            report("sum light along tracks", min(first + _CHUNK, n_pairs), n_pairs, "")
    return np.concatenate(inputs), np.concatenate(light)


def _divergence(raw: torch.Tensor, light: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """Return the mean relative entropy of the summed light and the mixtures."""
    logit, mean, log_width = raw.chunk(3, dim=1)
    scale = torch.exp(-log_width.clamp(*LOG_WIDTHS))
    y = (edges[:, None] - mean[:, None]) * scale[:, None]
    cdf = (torch.sigmoid(y) * torch.softmax(logit, dim=1)[:, None]).sum(dim=2)
    ends = torch.zeros(len(raw), 1), torch.ones(len(raw), 1)
    predicted = torch.diff(cdf, dim=1, prepend=ends[0], append=ends[1]).clamp_min(1e-9)
    return (torch.xlogy(light, light) - light * torch.log(predicted)).sum(dim=1).mean()
