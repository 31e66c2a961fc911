"""HEALPix arithmetic against healpy and against the definition."""

from __future__ import annotations

import healpy
import numpy as np
import pytest

from skymap_scanner.sky import healpix

NSIDES = [1, 2, 8, 64, 512, healpix.NSIDE_MAX]


def some_pixels(nside: int, n: int = 300) -> np.ndarray:
    return np.random.default_rng(nside).integers(0, 12 * nside**2, n)


@pytest.mark.parametrize("nside", NSIDES)
def test_centers_agree_with_healpy(nside: int) -> None:
    ipix = some_pixels(nside)
    ra, dec = healpix.pixel_centers(nside, ipix)
    theta, phi = healpy.pix2ang(nside, ipix)
    np.testing.assert_allclose(ra, phi, atol=1e-14)
    np.testing.assert_allclose(dec, np.pi / 2 - theta, atol=1e-14)


@pytest.mark.parametrize("nside", NSIDES)
def test_every_pixel_contains_its_center(nside: int) -> None:
    ipix = some_pixels(nside)
    np.testing.assert_array_equal(
        healpix.pixel_at(nside, *healpix.pixel_centers(nside, ipix)), ipix
    )


@pytest.mark.parametrize("nside", NSIDES)
def test_areas_make_the_sphere(nside: int) -> None:
    assert healpix.n_pixels(nside) * healpix.pixel_area(nside) == pytest.approx(4 * np.pi)


@pytest.mark.parametrize(("nside", "child_nside"), [(1, 2), (8, 8), (8, 64), (64, 512), (2, 512)])
def test_children_agree_with_healpy(nside: int, child_nside: int) -> None:
    ipix = some_pixels(nside, 20)
    ratio = (child_nside // nside) ** 2
    nested = healpy.ring2nest(nside, ipix)[:, None] * ratio + np.arange(ratio)
    expected = healpy.nest2ring(child_nside, nested)
    np.testing.assert_array_equal(healpix.children(nside, ipix, child_nside), expected)


@pytest.mark.parametrize(("nside", "parent_nside"), [(2, 1), (8, 8), (512, 8), (2**20, 1)])
def test_parents_contain_the_centers(nside: int, parent_nside: int) -> None:
    ipix = some_pixels(nside)
    found = healpix.parents(nside, ipix, parent_nside)
    theta, phi = healpy.pix2ang(nside, ipix)
    np.testing.assert_array_equal(found, healpy.ang2pix(parent_nside, theta, phi))


@pytest.mark.parametrize("nside", NSIDES)
def test_orderings_agree_with_healpy(nside: int) -> None:
    ipix = some_pixels(nside).reshape(3, -1)
    nested = healpix.ring_to_nest(nside, ipix)
    np.testing.assert_array_equal(nested, healpy.ring2nest(nside, ipix))
    np.testing.assert_array_equal(healpix.nest_to_ring(nside, nested), ipix)


def test_empty_arrays_are_fine() -> None:
    none = np.empty(0, np.int64)
    assert healpix.children(8, none, 64).shape == (0, 64)
    assert healpix.parents(64, none, 8).shape == (0,)
    assert healpix.pixel_centers(8, none)[0].shape == (0,)


@pytest.mark.parametrize("ipix", [-1, 768])
def test_pixels_that_do_not_exist_are_refused(ipix: int) -> None:
    for call in (
        lambda: healpix.pixel_centers(8, [ipix]),
        lambda: healpix.children(8, [ipix], 64),
        lambda: healpix.parents(8, [ipix], 1),
    ):
        with pytest.raises(ValueError, match="no pixel"):
            call()


@pytest.mark.parametrize("nside", [0, -8, 3, 2**21])
def test_nsides_that_do_not_exist_are_refused(nside: int) -> None:
    assert not healpix.is_nside(nside)
    with pytest.raises(ValueError, match="power of two"):
        healpix.pixel_centers(nside, [0])
    with pytest.raises(ValueError, match="power of two"):
        healpix.pixels_within(nside, 0.0, 0.0, 0.1)


def test_children_are_finer_and_parents_coarser() -> None:
    with pytest.raises(ValueError, match="children"):
        healpix.children(8, [0], 4)
    with pytest.raises(ValueError, match="parents"):
        healpix.parents(8, [0], 16)


@pytest.mark.parametrize("nside", [1, 8, 64])
@pytest.mark.parametrize("radius", [1e-6, 0.02, 0.5, 2.0, 3.1, 3.2])
@pytest.mark.parametrize(("ra", "dec"), [(0.0, 0.0), (6.28, -1.57), (2.0, np.pi / 2), (4.0, 0.7)])
def test_pixels_within_are_those_whose_centers_are(
    nside: int, radius: float, ra: float, dec: float
) -> None:
    everything = np.arange(12 * nside**2)
    distance = healpix.angular_distance(*healpix.pixel_centers(nside, everything), ra, dec)
    expected = everything[distance < radius]
    np.testing.assert_array_equal(healpix.pixels_within(nside, ra, dec, radius), expected)


def test_no_pixel_is_larger_than_the_search_assumes() -> None:
    for order in range(21):
        nside = 2**order
        assert healpy.max_pixrad(nside) < healpix._MAX_PIXEL_RADIUS / nside


def test_angular_distance_of_known_angles() -> None:
    for degrees in (1e-9, 1.0, 90.0, 179.999999, 180.0):
        angle = np.deg2rad(degrees)
        assert healpix.angular_distance(1.0, 0.0, 1.0 + angle, 0.0) == pytest.approx(angle)
        half = angle / 2
        assert healpix.angular_distance(1.0, -half, 1.0, half) == pytest.approx(angle)


def test_unit_vectors_have_the_shape_of_the_directions() -> None:
    vectors = healpix.unit_vectors(np.zeros((2, 5)), np.full((2, 5), 0.3))
    assert vectors.shape == (2, 5, 3)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1.0)
    np.testing.assert_allclose(healpix.unit_vectors(0.0, np.pi / 2), [0, 0, 1], atol=1e-15)
