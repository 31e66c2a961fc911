"""The map does not depend on the order of arrival, on repeated deliveries or on crashes."""

from __future__ import annotations

import itertools
import random
import zlib
from dataclasses import dataclass
from typing import Any

import healpy
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skymap_scanner.pixels import Fit, FitStatus, NSidesDict, TaskKey
from skymap_scanner.scan.state import (
    FitReceived,
    Instruction,
    Resend,
    ScanAborted,
    ScanFinished,
    ScanStarted,
    ScanState,
    SendPixels,
    TaskFailedReceived,
)
from skymap_scanner.sky.healpix import children
from skymap_scanner.sky.progression import NSideProgression
from skymap_scanner.sky.region import Cone

PROGRESSIONS = [["1:0"], ["1:0", "2:2"], ["1:0", "2:3", "8:5"], ["2:0", "4:4", "8:6", "16:3"]]


@dataclass(frozen=True)
class ToySky:
    """What the fit of each pixel variation gives: always the same, however often it is asked."""

    seed: int
    n_values: int
    failed_per_mille: int
    crashed_per_mille: int

    def _draw(self, key: TaskKey, what: int) -> int:
        return zlib.crc32(repr((self.seed, what, key)).encode()) % 1000

    def always_crashes(self, key: TaskKey) -> bool:
        return self._draw(key, 1) < self.crashed_per_mille

    def fit(self, key: TaskKey) -> Fit:
        if self._draw(key, 2) < self.failed_per_mille:
            return Fit.failed("no light")
        # few different values: ties between variations and between pixels are common
        nll = float(self._draw(key, 3) % self.n_values)
        x = float(self._draw(key, 4))
        return Fit(FitStatus.OK, "", nll, (x, x + 1, x + 2), x + 3, x + 4, x + 5, x + 6, 1)


#: Not hypothesis' own random numbers: thousands per example would be slow and never shrink.
orders = st.integers(0, 2**32).map(random.Random)

skies = st.builds(
    ToySky,
    seed=st.integers(0, 10**6),
    n_values=st.sampled_from([1, 3, 1000]),
    failed_per_mille=st.sampled_from([0, 50, 400, 950]),
    crashed_per_mille=st.sampled_from([0, 100]),
)


@dataclass(frozen=True)
class Setup:
    """Settings of a scan that the examples vary."""

    progression: tuple[str, ...]
    n_variations: int
    region: Cone | None
    max_failed_fraction: float

    def make(self, threshold: float = 1.0) -> ScanState:
        return ScanState(
            NSideProgression.parse(self.progression),
            self.n_variations,
            threshold=threshold,
            region=self.region,
            max_failed_fraction=self.max_failed_fraction,
            max_attempts=2,
        )


cones = st.builds(Cone, st.floats(0, 6), st.floats(-1.5, 1.5), st.floats(0.01, 2.0))
setups = st.builds(
    Setup,
    progression=st.sampled_from([tuple(steps) for steps in PROGRESSIONS]),
    n_variations=st.integers(1, 3),
    region=st.none() | cones,
    max_failed_fraction=st.just(1.0),
)


def tasks_of(state: ScanState, instructions: list[Instruction]) -> list[tuple[TaskKey, int]]:
    """List (key, attempt) of everything that is to be sent."""
    tasks: list[tuple[TaskKey, int]] = []
    for out in instructions:
        if isinstance(out, SendPixels):
            tasks += [
                ((out.nside, ipix, variation), 1)
                for ipix in out.ipix.tolist()
                for variation in range(state.n_variations)
            ]
        elif isinstance(out, Resend):
            tasks.append((out.key, out.attempt))
    return tasks


def run_in_order(state: ScanState, sky: ToySky) -> list[Instruction]:
    """Answer first what was sent first; nothing is lost, repeated or crashes by accident."""
    story = state.handle(ScanStarted())
    todo = tasks_of(state, story)
    while todo:
        key, attempt = todo.pop(0)
        out = (
            state.handle(TaskFailedReceived(key, attempt, "crash", "always"))
            if sky.always_crashes(key)
            else state.handle(FitReceived(key, sky.fit(key)))
        )
        story += out
        todo += tasks_of(state, out)
    return story


def run_in_disorder(state: ScanState, sky: ToySky, rng: random.Random) -> list[Instruction]:
    """Answer in any order, repeat answers, report stale failures, let tasks crash once."""
    story = state.handle(ScanStarted())
    todo = tasks_of(state, story)
    past: list[Any] = []
    while todo:
        where = rng.randrange(len(todo))
        todo[where], todo[-1] = todo[-1], todo[where]
        key, attempt = todo.pop()
        event: Any = FitReceived(key, sky.fit(key))
        is_accident = attempt < state.max_attempts and rng.random() < 0.1
        if sky.always_crashes(key) or is_accident:
            event = TaskFailedReceived(key, attempt, "crash", "now and then")
        for repeated in [event, *(rng.choice([event, *past]) for _ in range(rng.randrange(3)))]:
            out = state.handle(repeated)
            story += out
            todo += tasks_of(state, out)
        past.append(event)
    return story


def same_bits(one: NSidesDict, two: NSidesDict) -> bool:
    """Whether two maps are the same, energies included, which files do not carry."""
    return one == two and all(
        one[nside][ipix].energy == two[nside][ipix].energy for nside in one for ipix in one[nside]
    )


@settings(max_examples=50)
@given(setups, skies, orders)
def test_any_order_any_repetition_any_failures_give_the_same_map(
    setup: Setup, sky: ToySky, rng: random.Random
) -> None:
    calm, wild = setup.make(), setup.make()
    calm_story = run_in_order(calm, sky)
    wild_story = run_in_disorder(wild, sky, rng)
    calm.check_invariants()
    wild.check_invariants()
    assert calm_story[-1] == wild_story[-1] or wild_story[-1].__class__ is ScanAborted
    assert same_bits(calm.nsides_dict(), wild.nsides_dict())
    assert calm.best == wild.best
    assert calm.counts() == wild.counts()
    assert [pixel.ipix for pixel in calm.failed_pixels()] == [
        pixel.ipix for pixel in wild.failed_pixels()
    ]
    assert calm.phase == wild.phase
    assert wild.n_outstanding == 0
    assert wild.n_unknown == 0


@settings(max_examples=30)
@given(setups, skies, st.floats(0.0, 0.5), orders)
def test_whether_failures_end_the_scan_does_not_depend_on_the_order(
    setup: Setup, sky: ToySky, fraction: float, rng: random.Random
) -> None:
    strict = Setup(setup.progression, setup.n_variations, setup.region, fraction)
    calm, wild = strict.make(), strict.make()
    run_in_order(calm, sky)
    run_in_disorder(wild, sky, rng)
    assert calm.phase == wild.phase
    assert calm.is_finished


@settings(max_examples=40)
@given(setups, skies, st.sampled_from([0.1, 0.25, 0.5, 0.99]), orders)
def test_predictive_scan_ends_with_everything_collected_and_tiled(
    setup: Setup, sky: ToySky, threshold: float, rng: random.Random
) -> None:
    state = setup.make(threshold)
    story = run_in_disorder(state, sky, rng)
    state.check_invariants()
    assert state.is_finished
    assert state.n_outstanding == 0
    assert state.n_done == state.n_sent
    assert isinstance(story[-1], ScanFinished | ScanAborted)
    check_sent_once(story)


def check_sent_once(story: list[Instruction]) -> None:
    """Check that no pixel was sent twice as a new one."""
    sent = [(out.nside, i) for out in story if isinstance(out, SendPixels) for i in out.ipix]
    assert len(sent) == len(set(sent))


@settings(max_examples=40)
@given(st.sampled_from(PROGRESSIONS), skies, st.sampled_from([0.3, 1.0]))
def test_finest_pixels_cover_every_point_of_the_sphere_once(
    steps: list[str], sky: ToySky, threshold: float
) -> None:
    state = Setup(tuple(steps), 1, None, 1.0).make(threshold)
    story = run_in_order(state, sky)
    check_sent_once(story)
    sent = {
        nside: np.concatenate(
            [out.ipix for out in story if isinstance(out, SendPixels) and out.nside == nside]
            or [np.empty(0, np.int64)]
        )
        for nside in state.progression.nsides
    }
    # a pixel is one of the finest unless its children were sent; healpy numbers them in an interval
    finest_nside = state.progression.nsides[-1]
    intervals = []
    nsides = [*state.progression.nsides, None]
    for nside, next_nside in itertools.pairwise(nsides):
        assert nside is not None
        ipix = sent[nside]
        if next_nside is not None and len(ipix):
            first_children = children(nside, ipix, next_nside)[:, 0]
            ipix = ipix[~np.isin(first_children, sent[next_nside])]
        ratio = (finest_nside // nside) ** 2
        intervals += [(first, first + ratio) for first in healpy.ring2nest(nside, ipix) * ratio]
    intervals.sort()
    assert intervals[0][0] == 0
    assert intervals[-1][1] == 12 * finest_nside**2
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(intervals))


@settings(max_examples=30)
@given(skies, st.integers(1, 3), orders)
def test_every_finer_pixel_starts_from_the_best_fit_around_it(
    sky: ToySky, n_variations: int, rng: random.Random
) -> None:
    state = Setup(("1:0", "2:3", "8:5"), n_variations, None, 1.0).make()
    story = run_in_disorder(state, sky, rng)
    pixels = state.nsides_dict()
    for out in story:
        if not isinstance(out, SendPixels) or out.level == 0:
            continue
        theta_phi = healpy.pix2ang(out.nside, out.ipix)
        coarser = list(reversed(state.progression.nsides[: out.level]))
        around = np.transpose([healpy.ang2pix(nside, *theta_phi) for nside in coarser])
        for ipix_around, parent in zip(around.tolist(), out.parents, strict=True):
            found = [
                pixels[nside][ipix]
                for nside, ipix in zip(coarser, ipix_around, strict=True)
                if ipix in pixels[nside]
            ]
            expected = [np.nan] * 5
            if found:
                expected = [*found[0].position, found[0].time, found[0].energy]
            np.testing.assert_array_equal(parent, expected)
