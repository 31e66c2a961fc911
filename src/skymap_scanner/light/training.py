r"""Train the light model's networks on simulated sources (needs the ``[train]`` extra: torch).

Charge: for each cell with recorded light W, volume V and N photons the loss is

.. math:: \left( w_1 N V I(x_1) - w_2 W \ln I(x_2) \right) / s

with :math:`x_1` uniform in the cell, new each time, and :math:`x_2` a place drawn from the light in
the cell: on average the unbinned Poisson likelihood of the recorded light, whatever the light does
inside a cell. :math:`s` is the size of a typical score, which turns light into counts
:math:`\lambda = N V I / s`; the weights :math:`w = 1/(1 + \lambda/40)`, from the prediction with
its gradient stopped, keep bright cells from mattering more than 40 counts.

Time: the likelihood of one recorded delay per cell, weighted with :math:`(W/s)/(1 + \lambda)`, so
that cells that happen to be hit are no biased choice of all cells; any function of the place does
for :math:`\lambda` there, and a linear fit of the logarithm is taken.

References
----------
.. [1] N. Vyas et al., SOAP: improving and stabilizing Shampoo using Adam, ICLR 2025,
   :doi:`10.48550/arXiv.2409.11321`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from pytorch_optimizer import SOAP

from skymap_scanner.compiled import fused_kernel
from skymap_scanner.light.cells import (
    CELL_VOLUMES,
    N_AZIMUTH,
    N_CELLS,
    N_COS,
    N_R,
    R_EDGES,
    axis_frame,
    cell_points,
)
from skymap_scanner.light.inputs import (
    N_OM_INPUTS,
    N_PAIR_INPUTS,
    N_SOURCE_INPUTS,
    Pairs,
    om_inputs,
    pair_inputs,
    source_inputs,
)
from skymap_scanner.light.mixture import LOG_WIDTHS, N_COMPONENTS
from skymap_scanner.light.network import Layers
from skymap_scanner.light.propagation import SHELLS, TIME_OFFSET
from skymap_scanner.light.trained_volume import OM_Z

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from skymap_scanner.light.ice import IceModel
    from skymap_scanner.light.inputs import PairTables
    from skymap_scanner.units import FloatArray, IntArray

    Float32Array = NDArray[np.float32]

__all__ = ["Fit", "Lightfall", "train_charge", "train_times"]

#: A cell counts at most as this many scores.
_MAX_COUNTS: Final = 40.0
_N_INPUTS: Final = N_PAIR_INPUTS + N_SOURCE_INPUTS + N_OM_INPUTS


@dataclass(frozen=True, slots=True)
class Fit:
    """How a network is trained.

    Attributes
    ----------
    n_hidden : int
        Units per hidden layer.
    n_epochs : float
        Passes over the cells.
    batch : int
        Cells per step.
    rate : float
        Largest step size.
    clip : float
        Gradients longer than this are shortened to it.
    seed : int
        Seed of first weights and order.
    """

    n_hidden: int = 64
    n_epochs: float = 10.0
    batch: int = 16384
    rate: float = 1.5e-2
    clip: float = 20.0
    seed: int = 1


class Lightfall:
    """Recorded light of a production, ready to be drawn from at random.

    Parameters
    ----------
    paths : dict
        Files of `production.produce` -> photons per source.
    ice : IceModel
        The ice in which it was made.
    tables : PairTables
        Tables for the inputs.
    """

    def __init__(self, paths: dict[Path, int], ice: IceModel, tables: PairTables) -> None:
        self.ice, self.tables = ice, tables
        parts: dict[str, list[NDArray[Any]]] = {}
        n_before = 0
        n_photons: list[FloatArray] = []
        for path, photons in paths.items():
            with np.load(path) as file:
                for name in file.files:
                    value = file[name]
                    if name == "source":
                        value = value.astype(np.int32) + n_before
                    parts.setdefault(name, []).append(value)
                n_before += file["xyz"].shape[0]
                n_photons.append(np.full(file["xyz"].shape[0], float(photons)))
        #: Photons of each source.
        self.n_photons = np.concatenate(n_photons)
        columns = {name: np.concatenate(parts.pop(name)) for name in list(parts)}
        self.xyz, self.direction = columns["xyz"], columns["direction"]
        self.frames = np.stack([axis_frame(axis) for axis in self.direction])
        #: Record of each source's cell, flat; -1 where nothing came.
        self.record = np.full(n_before * N_CELLS, -1, np.int32)
        slot: IntArray = columns["source"].astype(np.int64) * N_CELLS + columns["cell"]
        self.record[slot] = np.arange(slot.size, dtype=np.int32)
        self.slot = slot
        self.total, self.place, self.delay = columns["total"], columns["place"], columns["delay"]
        ring = columns["cell"] // (N_AZIMUTH * N_COS)
        typical = columns["squared"] / columns["total"]
        copies = _copies(columns["splits"])
        source = columns["source"].astype(np.int64)
        typical = typical * copies[source, ring]
        per_ring = np.array([np.median(typical[ring == k]) for k in range(N_R)])
        #: Size of a typical score [m] per source and ring of distance.
        self.score = per_ring / copies
        self.source = np.column_stack([self.xyz, ice.effective_z(self.xyz)])
        self.source_in = source_inputs(self.source[:, 3], self.direction, tables)

    def pairs(self, source: IntArray, om_xyz: FloatArray) -> Pairs:
        """Pair sources with as many places."""
        om = np.column_stack([om_xyz, self.ice.effective_z(om_xyz)])
        return Pairs(self.source, om, self.direction, source, np.arange(source.size))

    def inputs(self, source: IntArray, om_xyz: FloatArray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs of pairs and logarithms of light lost to distance, (n, n_inputs), (n,)."""
        pairs = self.pairs(source, om_xyz)
        pair_in, falling = pair_inputs(pairs, self.tables)
        om_in = om_inputs(np.ascontiguousarray(pairs.om[:, 3]), self.tables)
        joined = np.concatenate([pair_in, self.source_in[source], om_in], axis=1)
        return torch.from_numpy(joined), torch.from_numpy(falling)

    def random_places(
        self, source: IntArray, cell: IntArray, rng: np.random.Generator
    ) -> FloatArray:
        """Draw places uniform in cells, in detector coordinates [m], shape (n, 3)."""
        r, cosine, azimuth = cell_points(cell, rng.random((cell.size, 3)))
        sine = np.sqrt(1.0 - cosine**2)
        local = np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=1)
        relative = np.einsum("nk,nkj->nj", local, self.frames[source])
        return np.asarray(self.xyz[source] + r[:, None] * relative)


def _copies(splits: IntArray) -> FloatArray:
    """Return how many copies of a photon there are in each ring, shape (n_source, n_r)."""
    made = np.cumprod(np.column_stack([np.ones(len(splits)), splits]), axis=1)
    middle = 0.5 * (R_EDGES[1:] + R_EDGES[:-1])
    return np.asarray(made[:, np.searchsorted(SHELLS, middle)])


def _is_inside(om_xyz: FloatArray) -> Float32Array:
    """Return 1 where modules can be, 0 elsewhere."""
    z = om_xyz[:, 2]
    return ((z >= OM_Z[0]) & (z <= OM_Z[1])).astype(np.float32)


@fused_kernel
def _activate(x: Float32Array, result: Float32Array, slope: Float32Array) -> None:
    """x/2 (1 + x/sqrt(1 + x^2)) and its derivative, in one pass over flat arrays."""
    half, one = np.float32(0.5), np.float32(1.0)
    for k in range(x.size):
        inverse = one / np.sqrt(one + x[k] * x[k])
        turned = x[k] * inverse
        result[k] = half * x[k] * (one + turned)
        slope[k] = half + half * turned * (one + inverse * inverse)


class _Activation(torch.autograd.Function):
    """The activation, a tensor operation without temporaries: they take most of the time."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: torch.Tensor) -> torch.Tensor:
        x = x.contiguous()  # or the flat arrays were copies
        result, slope = torch.empty_like(x), torch.empty_like(x)
        _activate(*(tensor.detach().numpy().reshape(-1) for tensor in (x, result, slope)))
        ctx.save_for_backward(slope)
        return result

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: torch.Tensor) -> torch.Tensor:
        (slope,) = ctx.saved_tensors
        return gradient * slope


class _Network(torch.nn.Module):
    """Two hidden layers on standardised inputs, and a linear skip."""

    def __init__(self, mean: torch.Tensor, width: torch.Tensor, n_hidden: int, n_out: int) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("width", width)
        self.first = torch.nn.Linear(_N_INPUTS, n_hidden)
        self.hidden = torch.nn.Linear(n_hidden, n_hidden)
        self.last = torch.nn.Linear(n_hidden, n_out)
        self.skip = torch.nn.Linear(_N_INPUTS, 1, bias=False)
        for layer in (self.first, self.hidden, self.last):
            torch.nn.init.normal_(layer.weight, std=1.0 / layer.in_features**0.5)
            torch.nn.init.zeros_(layer.bias)
        torch.nn.init.zeros_(self.skip.weight)

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return outputs without and the linear part, shapes (n, n_out) and (n,)."""
        x = (inputs - self.mean) / self.width
        h = _Activation.apply(self.first(x))
        return self.last(_Activation.apply(self.hidden(h))), self.skip(x)[:, 0]

    def layers(self) -> Layers:
        """Return the weights as the run-time evaluation wants them, standardisation folded in."""
        with torch.no_grad():
            first = (self.first.weight / self.width).double()
            bias = self.first.bias.double() - first @ self.mean.double()
            skip = (self.skip.weight[0] / self.width).double()
            constant = -(skip @ self.mean.double())
            rows = np.cumsum([N_PAIR_INPUTS, N_SOURCE_INPUTS])
            pair, source, om = np.split(first.numpy().T.astype(np.float32), rows)
            skips = np.split(skip.numpy().astype(np.float32), rows)
            last_bias = self.last.bias.double().numpy().copy()
            last_bias[0] += float(constant)
            return Layers(
                np.ascontiguousarray(pair),
                np.ascontiguousarray(source),
                np.ascontiguousarray(om),
                bias.numpy().astype(np.float32),
                np.ascontiguousarray(self.hidden.weight.numpy().T),
                self.hidden.bias.numpy().copy(),
                np.ascontiguousarray(self.last.weight.numpy().T),
                last_bias.astype(np.float32),
                *skips,
            )


def _standardise(light: Lightfall, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and width of the inputs over places where light was recorded."""
    rows = rng.integers(light.total.size, size=200_000)
    source = light.slot[rows] // N_CELLS
    inputs, _ = light.inputs(source, light.xyz[source] + light.place[rows])
    return inputs.mean(0), inputs.std(0).clamp_min(1e-3)


def _batches(n: int, fit: Fit, rng: np.random.Generator) -> Iterator[IntArray]:
    """Yield random batches of indices below `n`, each once per epoch."""
    n_steps = int(fit.n_epochs * n / fit.batch)
    order, place = rng.permutation(n), 0
    for _ in range(n_steps):
        if place + fit.batch > n:
            order, place = rng.permutation(n), 0
        yield order[place : place + fit.batch]
        place += fit.batch


def _descend(
    network: _Network,
    fit: Fit,
    n_steps: int,
    losses: Iterator[torch.Tensor],
    report: Callable[[int, int, float], None] | None,
) -> None:
    """Follow the gradient of the losses, with warm-up and cosine decay of the step size.

    Adam in the eigenbasis of the gradients' covariance of each layer (SOAP [1]_): for networks as
    small as ours the basis costs next to nothing, and Adam needs more than twice as many steps.
    """
    trained = [weights for weights in network.parameters() if weights.requires_grad]
    optimiser = SOAP(trained, lr=fit.rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1.0, (step + 1) / 200) * 0.5 * (1.0 + np.cos(np.pi * step / n_steps)),
    )
    running = 0.0
    for step, loss in enumerate(losses):
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, fit.clip)
        optimiser.step()
        schedule.step()
        running = 0.99 * running + 0.01 * float(loss.detach()) if step else float(loss.detach())
        if report is not None and (step % 100 == 99 or step == n_steps - 1):
            report(step + 1, n_steps, running)


def train_charge(
    light: Lightfall,
    fit: Fit,
    report: Callable[[int, int, float], None] | None = None,
) -> Layers:
    """Train the network of the expected charge.

    Parameters
    ----------
    light : Lightfall
        Recorded light.
    fit : Fit
        How to train.
    report : callable, optional
        Called with step, number of steps and running loss.

    Returns
    -------
    Layers
    """
    rng = np.random.default_rng(fit.seed)
    torch.manual_seed(fit.seed)
    network = _Network(*_standardise(light, rng), fit.n_hidden, 1)
    _start_from_line(network, light, rng)

    def losses() -> Iterator[torch.Tensor]:
        for slot in _batches(light.record.size, fit, rng):
            source, cell = slot // N_CELLS, slot % N_CELLS
            score = light.score[source, cell // (N_AZIMUTH * N_COS)]
            exposure = torch.from_numpy(
                (light.n_photons[source] * CELL_VOLUMES[cell] / score).astype(np.float32)
            )
            anywhere = light.random_places(source, cell, rng)
            record = light.record[slot]
            hit = np.flatnonzero(record >= 0)
            record = record[hit]
            there = light.xyz[source[hit]] + light.place[record]
            inputs, falling = light.inputs(
                np.concatenate([source, source[hit]]), np.concatenate([anywhere, there])
            )
            output, linear = network(inputs)
            log_light = output[:, 0] + linear + falling
            n = source.size
            expected = exposure * torch.exp(torch.clamp(log_light[:n], max=20.0))
            weight = torch.from_numpy(_is_inside(anywhere)) / (
                1.0 + expected.detach() / _MAX_COUNTS
            )
            with torch.no_grad():
                at_hit = exposure[hit] * torch.exp(torch.clamp(log_light[n:], max=20.0))
                counts = torch.from_numpy((light.total[record] / score[hit]).astype(np.float32))
                counts = counts * torch.from_numpy(_is_inside(there))
                counts = counts / (1.0 + at_hit / _MAX_COUNTS)
            yield ((weight * expected).sum() - (counts * log_light[n:]).sum()) / n

    n_steps = int(fit.n_epochs * light.record.size / fit.batch)
    _descend(network, fit, n_steps, losses(), report)
    return network.layers()


def _line(light: Lightfall, rng: np.random.Generator) -> FloatArray:
    """Fit the logarithm of the fluence, without what distance takes, linearly in the inputs.

    Returns
    -------
    ndarray, shape (n_inputs + 1,)
        Slopes and constant.
    """
    rows = rng.integers(light.total.size, size=100_000)
    source, cell = light.slot[rows] // N_CELLS, light.slot[rows] % N_CELLS
    inputs, falling = light.inputs(source, light.xyz[source] + light.place[rows])
    y = np.log(light.total[rows] / (light.n_photons[source] * CELL_VOLUMES[cell]))
    design = np.column_stack([inputs.double().numpy(), np.ones(rows.size)])
    ridge = 10.0 * np.diag(np.append(design[:, :-1].var(axis=0), 1e-3))
    line = np.linalg.solve(design.T @ design + ridge, design.T @ (y - falling.double().numpy()))
    return np.asarray(line)


def _start_from_line(network: _Network, light: Lightfall, rng: np.random.Generator) -> None:
    """Start with the linear fit, so that the first steps do not go astray."""
    line = torch.from_numpy(_line(light, rng).astype(np.float32))
    with torch.no_grad():
        network.skip.weight[0] = line[:-1] * network.width
        network.last.weight *= 0.1
        network.last.bias[0] = line[-1] + (line[:-1] * network.mean).sum()


def train_times(
    light: Lightfall,
    fit: Fit,
    report: Callable[[int, int, float], None] | None = None,
) -> Layers:
    """Train the network of the arrival times.

    Parameters
    ----------
    light : Lightfall
        Recorded light.
    fit : Fit
        How to train.
    report : callable, optional
        Called with step, number of steps and running loss.

    Returns
    -------
    Layers
    """
    rng = np.random.default_rng(fit.seed)
    torch.manual_seed(fit.seed)
    line = _line(light, rng).astype(np.float32)
    network = _Network(*_standardise(light, rng), fit.n_hidden, 3 * N_COMPONENTS)
    network.skip.weight.requires_grad_(False)
    with torch.no_grad():
        network.last.weight *= 0.3
        network.last.bias.copy_(torch.tensor([0.0] * 4 + [2.0, 3.5, 5.0, 6.0] + [-0.7] * 4))

    def losses() -> Iterator[torch.Tensor]:
        for record in _batches(light.total.size, fit, rng):
            slot = light.slot[record]
            source = slot // N_CELLS
            there = light.xyz[source] + light.place[record]
            inputs, falling = light.inputs(source, there)
            brightness = falling.numpy() + inputs.numpy() @ line[:-1] + line[-1]
            weight = _time_weights(light, record, brightness) * _is_inside(there)
            u = np.log(np.maximum(light.delay[record], 0.0) + TIME_OFFSET).astype(np.float32)
            nll = _mixture_nll(network(inputs)[0], torch.from_numpy(u))
            yield (torch.from_numpy(weight) * nll).mean()

    n_steps = int(fit.n_epochs * light.total.size / fit.batch)
    _descend(network, fit, n_steps, losses(), report)
    return network.layers()


def _time_weights(light: Lightfall, record: IntArray, log_fluence: Float32Array) -> Float32Array:
    """Return weights that make the recorded delays an unbiased sample."""
    slot = light.slot[record]
    source, cell = slot // N_CELLS, slot % N_CELLS
    score = light.score[source, cell // (N_AZIMUTH * N_COS)]
    expected = light.n_photons[source] * CELL_VOLUMES[cell] * np.exp(log_fluence) / score
    return np.asarray(light.total[record] / score / (1.0 + expected), dtype=np.float32)


def _mixture_nll(raw: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Return -ln of the density of a mixture of logistic distributions, shape (n,)."""
    logit, mean, log_width = raw.chunk(3, dim=1)
    log_width = log_width.clamp(*LOG_WIDTHS)
    y = (u[:, None] - mean) * torch.exp(-log_width)
    log_density = -log_width - torch.nn.functional.softplus(y) - torch.nn.functional.softplus(-y)
    return -torch.logsumexp(torch.log_softmax(logit, dim=1) + log_density, dim=1)
