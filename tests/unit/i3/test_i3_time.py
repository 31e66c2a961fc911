"""I3Time: leap seconds, MJD, there and back."""

from __future__ import annotations

import pytest

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3 import I3Time

DAY = 86400 * 10**10


def test_time_of_a_real_event() -> None:
    time = I3Time(2022, 123828921853524946)
    assert time.mjd == pytest.approx(59723.320511405, abs=1e-9)
    assert time.to_datetime_string() == "2022-05-24 07:41:32.185352"


@pytest.mark.parametrize(
    ("year", "days"), [(2005, 365), (2008, 366), (2012, 182), (2015, 181), (2016, 366)]
)
def test_leap_seconds(year: int, days: int) -> None:
    at = I3Time(year, days * DAY)
    before, after = I3Time(year, at.daq_time - 1), I3Time(year, at.daq_time + 10**10)
    assert at.to_datetime_string().endswith("23:59:60.000000")
    assert before.to_datetime_string().endswith("23:59:59.999999")
    assert before.to_datetime_string()[:10] == at.to_datetime_string()[:10]
    assert after.to_datetime_string().endswith("00:00:00.000000")
    assert at.mjd == pytest.approx(before.mjd - 1 / 86400, abs=1e-9)
    assert after.mjd == int(after.mjd)
    assert I3Time(year + 1, 0).ns_since(I3Time(year, 0)) % 86400e9 == 1e9


def test_years_without_leap_seconds() -> None:
    for year in (2006, 2014, 2017, 2024):
        start, end = I3Time(year, 0), I3Time(year + 1, 0)
        assert end.ns_since(start) == (366 if year == 2024 else 365) * 86400e9
        assert start.ns_since(end) == -end.ns_since(start)


@pytest.mark.parametrize("year", [2011, 2012, 2015, 2016, 2017, 2022, 2024])
@pytest.mark.parametrize("day", [0, 180, 181, 182, 183, 364])
def test_mjd_there_and_back(year: int, day: int) -> None:
    time = I3Time(year, day * DAY + 7 * 3600 * 10**10 + 12345)
    back = I3Time.from_mjd(time.mjd)
    assert back.year == year
    assert abs(back.ns_since(time)) < 1000


def test_delays_cross_years_and_leap_seconds() -> None:
    last = I3Time(2016, 366 * DAY + 10**10 - 1)
    assert last.plus_ns(0.1) == I3Time(2017, 0)
    assert I3Time(2017, 0).plus_ns(-0.1) == last
    assert I3Time(2022, 5).plus_ns(6000.0) == I3Time(2022, 60005)


def test_times_that_are_not_set_are_errors() -> None:
    for time in (I3Time(0, 0), I3Time(2022, -1), I3Time(10**6, 0), I3Time(2022, 2**62)):
        assert not time.is_set
        for use in (
            lambda t=time: t.mjd,
            time.to_datetime_string,
            lambda t=time: t.plus_ns(1.0),
            lambda t=time: t.ns_since(I3Time(2022, 0)),
        ):
            with pytest.raises(FormatError):
                use()
    for mjd in (float("nan"), float("inf"), -1.0, 1e9):
        with pytest.raises(FormatError):
            I3Time.from_mjd(mjd)
    with pytest.raises(FormatError):
        I3Time(2022, 0).plus_ns(float("nan"))


def test_open_ends_are_dates() -> None:
    assert I3Time(9999, 0).to_datetime_string() == "9999-01-01 00:00:00.000000"
    with pytest.raises(FormatError, match="out of range"):
        I3Time(9999, 390 * DAY).to_datetime_string()
