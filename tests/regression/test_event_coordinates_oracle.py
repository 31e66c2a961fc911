"""Coordinates against astropy's own path from ICRS to a horizontal frame.

3e-6 rad is a third of the polar motion (0.4 arcsec = 2e-6 rad, which astropy applies and the
field's software does not) more than must be; a second of time would be 7e-5 rad.
"""

from __future__ import annotations

import numpy as np
import pytest

from skymap_scanner.event.coordinates import (
    SITE_LATITUDE,
    SITE_LONGITUDE,
    equatorial_to_detector,
)


def test_astropy_agrees_when_told_the_same() -> None:
    from astropy import units as u
    from astropy.coordinates import AltAz, EarthLocation, SkyCoord
    from astropy.time import Time
    from astropy.utils import iers

    rng = np.random.default_rng(2)
    ra, dec = rng.uniform(0.0, 2.0 * np.pi, 50), rng.uniform(-1.5, 1.5, 50)
    site = EarthLocation.from_geodetic(
        lon=SITE_LONGITUDE * u.rad, lat=SITE_LATITUDE * u.rad, height=0 * u.m
    )
    with (
        iers.conf.set_temp("auto_download", False),
        iers.earth_orientation_table.set(iers.IERS_B.open()),
    ):
        time = Time(58086.4518424029, format="mjd", scale="utc", location=site)
        time.delta_ut1_utc = 0.0
        frame = AltAz(obstime=time, location=site, pressure=0 * u.Pa)
        theirs = SkyCoord(ra * u.rad, dec * u.rad, frame="icrs").transform_to(frame)
    zenith, azimuth = equatorial_to_detector(ra, dec, 58086.4518424029)
    # astropy applies polar motion (0.4 arcsec at most); the field's software does not.
    assert zenith == pytest.approx(np.pi / 2 - theirs.alt.rad, abs=3e-6)
    turn = np.angle(np.exp(1j * (np.pi / 2 - theirs.az.rad - SITE_LONGITUDE - azimuth)))
    assert turn * np.sin(zenith) == pytest.approx(0.0, abs=3e-6)
