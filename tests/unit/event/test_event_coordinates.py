"""Directions: check values of the field's software, round trips, no network."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from skymap_scanner.event.coordinates import (
    detector_to_equatorial,
    direction_vector,
    equatorial_to_detector,
    vector_to_angles,
)
from skymap_scanner.exceptions import EventError

MJD_2022 = 59723.32051140454

# Pixel centres at nside 1 and where the classic scanner puts them (seeds of prepared packets).
CLASSIC_SEEDS = [
    (MJD_2022, 0.0, 0.0, 1.5728862491064888, 1.5183165926721793),
    (MJD_2022, 135.0, -41.810314895779, 0.8395827054805893, 5.446713762627699),
    (57517.64354153215, 315.0, 41.810314895779, 2.301578215431409, 4.090861654043621),
]

# Online directions carried in alert messages: mjd, zenith, azimuth [rad] -> ra, dec [deg].
ONLINE_FITS = [
    (57517.6278926264, 0.881729604, 4.906915418, 262.46816, -39.47573),
    (57517.6435415321, 0.845915990, 2.798882700, 29.02351, -41.60498),
    (58086.4518424029, 2.634366341, 1.015733479, 262.95239, 60.94608),
    (59382.6631994278, 2.476307009, 3.599761219, 28.27969, 51.78534),
    (59535.1603840739, 1.565933046, 5.898571781, 225.93381, -0.20152),
    (59615.0157377271, 1.835512688, 0.255504879, 215.90580, 15.26506),
    (59723.3205114045, 1.510775301, 0.665871332, 48.84973, -3.52233),
    (60280.7141677457, 1.571631801, 4.876874560, 138.65431, 0.14184),
]


@pytest.mark.parametrize(("mjd", "ra_deg", "dec_deg", "zenith", "azimuth"), CLASSIC_SEEDS)
def test_pixel_centres_fall_where_the_classic_scanner_puts_them(
    mjd: float, ra_deg: float, dec_deg: float, zenith: float, azimuth: float
) -> None:
    found = equatorial_to_detector(np.radians(ra_deg), np.radians(dec_deg), mjd)
    assert np.degrees(found) == pytest.approx(np.degrees([zenith, azimuth]), abs=0.0003)


@pytest.mark.parametrize(("mjd", "zenith", "azimuth", "ra_deg", "dec_deg"), ONLINE_FITS)
def test_online_directions_have_the_known_place_on_the_sky(
    mjd: float, zenith: float, azimuth: float, ra_deg: float, dec_deg: float
) -> None:
    found = detector_to_equatorial(zenith, azimuth, mjd)
    assert np.degrees(found) == pytest.approx([ra_deg, dec_deg], abs=0.001)


def test_round_trip_over_the_whole_sky_is_exact() -> None:
    rng = np.random.default_rng(1)
    ra = rng.uniform(0.0, 2.0 * np.pi, 500)
    dec = np.arcsin(rng.uniform(-1.0, 1.0, 500))
    zenith, azimuth = equatorial_to_detector(ra, dec, MJD_2022)
    back_ra, back_dec = detector_to_equatorial(zenith, azimuth, MJD_2022)
    # Near the poles ra is ill defined: compare unit vectors.
    sent, back = (
        np.stack([np.cos(d) * np.cos(r), np.cos(d) * np.sin(r), np.sin(d)])
        for r, d in ((ra, dec), (back_ra, back_dec))
    )
    assert back == pytest.approx(sent, abs=1e-9)
    for angle in (azimuth, back_ra):
        assert np.all((angle >= 0.0) & (angle < 2.0 * np.pi))


def test_no_conversion_opens_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for mjd in (53371.0, 59723.3, 66000.0):
        zenith, azimuth = equatorial_to_detector(1.0, 0.5, mjd)
        assert detector_to_equatorial(zenith, azimuth, mjd) == pytest.approx((1.0, 0.5), abs=1e-9)


def test_a_far_future_date_gives_no_warning() -> None:
    ra, _dec = detector_to_equatorial(1.0, 1.0, 70000.0)
    assert np.isfinite(ra)


@pytest.mark.parametrize("mjd", [np.nan, np.inf, 1e9, -1e9])
def test_a_date_that_is_none_is_an_event_error(mjd: float) -> None:
    with pytest.raises(EventError, match="MJD"):
        equatorial_to_detector(0.0, 0.0, mjd)


def test_direction_of_travel_is_opposite_to_the_origin() -> None:
    directions = direction_vector([0.0, np.pi / 2, np.pi / 2], [0.0, 0.0, np.pi / 2])
    assert directions == pytest.approx(
        np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), abs=1e-15
    )


def test_angles_of_a_vector_invert_the_vector_of_angles() -> None:
    rng = np.random.default_rng(3)
    zenith, azimuth = rng.uniform(0.0, np.pi, (4, 5)), rng.uniform(0.0, 2 * np.pi, (4, 5))
    direction = direction_vector(zenith, azimuth)
    assert direction.shape == (4, 5, 3)
    assert np.linalg.norm(direction, axis=-1) == pytest.approx(1.0, abs=1e-12)
    back = vector_to_angles(3.0 * direction)
    assert back[0] == pytest.approx(zenith, abs=1e-9)
    assert back[1] == pytest.approx(azimuth, abs=1e-9)
