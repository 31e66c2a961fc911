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
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from pytorch_optimizer import SOAP

from skymap_scanner.compiled import fused_kernel
from skymap_scanner.exceptions import UsageError
from skymap_scanner.light.cells import (
    CELL_VOLUMES,
    N_AZIMUTH,
    N_CELLS,
    N_COS,
)
from skymap_scanner.light.inputs import (
    N_OM_INPUTS,
    N_PAIR_INPUTS,
    N_SOURCE_INPUTS,
)
from skymap_scanner.light.mixture import LOG_WIDTHS, N_COMPONENTS
from skymap_scanner.light.network import Layers
from skymap_scanner.light.propagation import TIME_OFFSET
from skymap_scanner.light.trained_volume import OM_Z

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from skymap_scanner.light.lightfall import Lightfall
    from skymap_scanner.units import FloatArray, IntArray

    Float32Array = NDArray[np.float32]

__all__ = [
    "Fit",
    "batches",
    "descend",
    "n_steps",
    "times_network",
    "train_charge",
    "train_times",
]

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
    wide = torch.from_numpy(inputs)
    return wide.mean(0), wide.std(0).clamp_min(1e-3)


def n_steps(n: int, fit: Fit) -> int:
    """Return the number of steps in which `n` cells or records are gone through."""
    steps = int(fit.n_epochs * n / fit.batch)
    if steps == 0:
        raise UsageError(
            "too few passes over the recorded light to train a network",
            found=f"{fit.n_epochs:g} passes over {n}",
            wanted=f"at least one batch of {fit.batch}",
        )
    return steps


def batches(n: int, fit: Fit, rng: np.random.Generator) -> Iterator[IntArray]:
    """Yield random batches of indices below `n`, each once per epoch."""
    order, place = rng.permutation(n), 0
    for _ in range(n_steps(n, fit)):
        if place + fit.batch > n:
            order, place = rng.permutation(n), 0
        yield order[place : place + fit.batch]
        place += fit.batch


def descend(
    network: _Network,
    fit: Fit,
    end: int,
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
        lambda step: min(1.0, (step + 1) / 200) * 0.5 * (1.0 + np.cos(np.pi * step / end)),
    )
    running = 0.0
    for step, loss in enumerate(losses):
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, fit.clip)
        optimiser.step()
        schedule.step()
        running = 0.99 * running + 0.01 * float(loss.detach()) if step else float(loss.detach())
        if report is not None and (step % 100 == 99 or step == end - 1):
            report(step + 1, end, running)


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
        for slot in batches(light.record.size, fit, rng):
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
            output, linear = network(torch.from_numpy(inputs))
            log_light = output[:, 0] + linear + torch.from_numpy(falling)
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

    descend(network, fit, n_steps(light.record.size, fit), losses(), report)
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
    design = np.column_stack([inputs.astype(np.float64), np.ones(rows.size)])
    ridge = 10.0 * np.diag(np.append(design[:, :-1].var(axis=0), 1e-3))
    line = np.linalg.solve(design.T @ design + ridge, design.T @ (y - falling))
    return np.asarray(line)


def _start_from_line(network: _Network, light: Lightfall, rng: np.random.Generator) -> None:
    """Start with the linear fit, so that the first steps do not go astray."""
    line = torch.from_numpy(_line(light, rng).astype(np.float32))
    with torch.no_grad():
        network.skip.weight[0] = line[:-1] * network.width
        network.last.weight *= 0.1
        network.last.bias[0] = line[-1] + (line[:-1] * network.mean).sum()


def times_network(mean: torch.Tensor, width: torch.Tensor, n_hidden: int) -> _Network:
    """Return an untrained network of mixtures, for inputs of this mean and width."""
    network = _Network(mean, width, n_hidden, 3 * N_COMPONENTS)
    network.skip.weight.requires_grad_(False)
    with torch.no_grad():
        network.last.weight *= 0.3
        network.last.bias.copy_(torch.tensor([0.0] * 4 + [2.0, 3.5, 5.0, 6.0] + [-0.7] * 4))
    return network


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
    network = times_network(*_standardise(light, rng), fit.n_hidden)

    def losses() -> Iterator[torch.Tensor]:
        for record in batches(light.total.size, fit, rng):
            slot = light.slot[record]
            source = slot // N_CELLS
            there = light.xyz[source] + light.place[record]
            inputs, falling = light.inputs(source, there)
            brightness = falling + inputs @ line[:-1] + line[-1]
            weight = _time_weights(light, record, brightness) * _is_inside(there)
            u = np.log(np.maximum(light.delay[record], 0.0) + TIME_OFFSET).astype(np.float32)
            nll = _mixture_nll(network(torch.from_numpy(inputs))[0], torch.from_numpy(u))
            yield (torch.from_numpy(weight) * nll).mean()

    descend(network, fit, n_steps(light.total.size, fit), losses(), report)
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
