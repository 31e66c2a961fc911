"""Pixels tile the sphere: parents, children and refinement, with healpy as oracle."""

from __future__ import annotations

import healpy
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from skymap_scanner.sky import healpix
from skymap_scanner.sky.progression import NSideProgression
from skymap_scanner.sky.refinement import children_in_region, pixels_to_refine
from skymap_scanner.sky.region import Cone

orders = st.integers(0, 20)
angles = st.tuples(st.floats(0.0, 2 * np.pi), st.floats(-np.pi / 2, np.pi / 2))


@st.composite
def pixels(draw: st.DrawFn) -> tuple[int, int]:
    """Draw a pixel of any resolution, the first and last of the sphere among them."""
    nside = 2 ** draw(orders)
    return nside, draw(st.integers(0, 12 * nside**2 - 1))


@given(pixels(), st.integers(0, 4))
def test_children_tile_their_parent(pixel: tuple[int, int], n_orders: int) -> None:
    nside, ipix = pixel
    child_nside = min(nside << n_orders, healpix.NSIDE_MAX)
    finer = healpix.children(nside, [ipix], child_nside)[0]
    ratio = (child_nside // nside) ** 2
    first = int(healpy.ring2nest(nside, ipix)) * ratio
    nested = np.sort(healpy.ring2nest(child_nside, finer))
    np.testing.assert_array_equal(nested, np.arange(first, first + ratio))


@given(pixels(), orders)
def test_parent_of_every_child_is_the_pixel(pixel: tuple[int, int], order: int) -> None:
    nside, ipix = pixel
    parent_nside = min(2**order, nside)
    parent = healpix.parents(nside, [ipix], parent_nside)[0]
    assert parent == healpy.ang2pix(parent_nside, *healpy.pix2ang(nside, ipix))
    if nside // parent_nside <= 16:
        assert ipix in healpix.children(parent_nside, [parent], nside)


@given(pixels())
def test_center_agrees_with_healpy(pixel: tuple[int, int]) -> None:
    nside, ipix = pixel
    ra, dec = healpix.pixel_centers(nside, [ipix])
    np.testing.assert_allclose(
        healpix.unit_vectors(ra[0], dec[0]), healpy.pix2vec(nside, ipix), atol=1e-14
    )


@given(orders, angles)
def test_pixel_that_contains_a_direction_agrees_with_healpy(
    order: int, direction: tuple[float, float]
) -> None:
    ra, dec = direction
    nside = 2**order
    found = int(healpix.pixel_at(nside, [ra], [dec])[0])
    # at an edge rounding may choose either side: then the two pixels touch
    if found != healpy.ang2pix(nside, np.pi / 2 - dec, ra):
        vectors = [
            healpy.ang2vec(np.pi / 2 - dec, ra),
            *np.transpose(healpy.pix2vec(nside, [found])),
        ]
        chord = np.linalg.norm(vectors[0] - np.array(vectors[1:]).ravel())
        assert chord < 1.1 / nside


@given(st.integers(0, 6), angles, st.floats(1e-4, 3.2))
def test_search_by_distance_agrees_with_healpy(
    order: int, direction: tuple[float, float], radius: float
) -> None:
    nside = 2**order
    vector = healpy.ang2vec(np.pi / 2 - direction[1], direction[0])
    found = healpix.pixels_within(nside, *direction, radius)
    everything = np.array(healpy.pix2vec(nside, np.arange(12 * nside**2))).T
    distance = 2 * np.arcsin(np.clip(np.linalg.norm(everything - vector, axis=1) / 2, 0, 1))
    is_clear = np.abs(distance - radius) > 1e-9  # rounding decides about centres on the circle
    is_found = np.isin(np.arange(12 * nside**2), found)
    np.testing.assert_array_equal(is_found[is_clear], (distance < radius)[is_clear])


@given(pixels(), st.integers(1, 60), st.integers(0, 3))
def test_refinement_stays_inside_its_parents_and_covers_them(
    best: tuple[int, int], extension: int, n_orders: int
) -> None:
    nside = min(best[0], 64)
    child_nside = nside << n_orders
    refined = pixels_to_refine(nside, extension, best)
    finer = children_in_region(nside, refined, child_nside)
    parents, counts = np.unique(healpix.parents(child_nside, finer, nside), return_counts=True)
    np.testing.assert_array_equal(parents, refined)
    assert (counts == 4**n_orders).all()


@given(angles, st.floats(1e-6, np.pi), st.integers(0, 4), st.integers(0, 2))
def test_cone_has_pixels_and_refining_stays_in_it(
    direction: tuple[float, float], radius: float, order: int, n_orders: int
) -> None:
    cone = Cone(*direction, radius)
    nside, child_nside = 2**order, 2 ** (order + n_orders)
    inside = cone.pixels(nside)
    assert len(inside)
    assert cone.has_pixels(nside, inside).all()
    finer = children_in_region(nside, inside, child_nside, cone)
    assert np.isin(finer, cone.pixels(child_nside)).all()
    center = healpix.pixel_at(child_nside, [cone.ra], [cone.dec])[0]
    assert center in finer


@given(angles, st.floats(1e-6, np.pi), st.integers(0, 4))
@example((0.1, np.pi / 2), 0.3, 3)
@example((2 * np.pi - 1e-3, 0.0), 0.1, 3)
def test_overlapping_pixels_cover_a_cone_and_no_more(
    direction: tuple[float, float], radius: float, order: int
) -> None:
    cone = Cone(*direction, radius)
    nside, fine = 2**order, 2 ** (order + 4)
    covering = cone.overlapping(nside)
    inside = healpix.pixels_within(fine, *direction, radius)
    assert np.isin(healpix.parents(fine, inside, nside), covering).all()
    # healpy's answer has too many pixels, but only such as come within a pixel of the finer grid
    vector = healpy.ang2vec(np.pi / 2 - direction[1], direction[0])
    touched = healpy.query_disc(nside, vector, min(radius + 1e-9, np.pi), inclusive=True, fact=128)
    assert np.isin(covering, touched).all()
    too_many = np.setdiff1d(touched, covering)
    beyond = Cone(*direction, min(radius + 2.2 / (128 * nside), np.pi))
    assert np.isin(too_many, beyond.overlapping(nside)).all()


@given(st.lists(st.tuples(orders, st.integers(1, 10**6)), min_size=1, max_size=6))
def test_every_legal_progression_is_read_back(steps: list[tuple[int, int]]) -> None:
    by_order = dict(steps)
    pairs = [(2**order, by_order[order]) for order in sorted(by_order)]
    pairs[0] = (pairs[0][0], 0)
    progression = NSideProgression.parse(pairs)
    assert NSideProgression.parse(str(progression).split()) == progression
    assert list(progression) == pairs
