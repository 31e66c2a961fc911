"""Pixel data types: what a fit is, classic names, tables of the best fits."""

from __future__ import annotations

import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from skymap_scanner.exceptions import ResultError
from skymap_scanner.pixels import (
    PIXEL_DTYPE,
    Fit,
    FitStatus,
    NSidesDict,
    PixelTable,
    Position,
    RecoPixelFinal,
    RecoPixelVariation,
    SentPixelVariation,
)


def good_fit(nll: float = 12.5) -> Fit:
    return Fit(FitStatus.OK, "", nll, (1.0, 2.0, 3.0), 4.0, 5.0, 6.0, 7.0, 8)


def rows(*pixels: tuple[int, float]) -> np.ndarray:
    table = np.full(len(pixels), 1.0).astype(PIXEL_DTYPE)
    table["index"] = [ipix for ipix, _ in pixels]
    table["llh"] = [nll for _, nll in pixels]
    return table


def test_failed_fit_never_wins_a_comparison() -> None:
    failed = Fit.failed("no light")
    assert min([failed, good_fit(1e300)], key=lambda fit: fit.nll).is_ok
    assert failed.reason == "no light"
    assert not failed.is_ok


@pytest.mark.parametrize("nll", [math.nan, math.inf, -math.inf])
def test_fit_without_finite_nll_is_not_ok(nll: float) -> None:
    assert not good_fit(nll).is_ok


def test_variation_and_fit_say_the_same() -> None:
    variation = RecoPixelVariation.from_fit((8, 3, 2), good_fit())
    assert variation.id_tuple == (8, 3, 2)
    assert (variation.llh, variation.reco_losses_inside, variation.reco_losses_total) == (
        12.5,
        6,
        7,
    )
    fit = variation.to_fit()
    assert fit == Fit(FitStatus.OK, "", 12.5, (1.0, 2.0, 3.0), 4.0, 5.0, 6.0, 7.0, 0)


def test_failed_fit_becomes_nan_for_plugins_and_back() -> None:
    variation = RecoPixelVariation.from_fit((8, 3, 2), Fit.failed("no light"))
    assert math.isnan(variation.llh)
    fit = variation.to_fit()
    assert fit.status is FitStatus.FAILED
    assert fit.nll == math.inf


def test_position_is_taken_from_anything_with_coordinates() -> None:
    point = SimpleNamespace(x=1, y=2, z=3)
    for given in (point, (1, 2, 3), [1.0, 2.0, 3.0], np.array([1, 2, 3]), Position(1, 2, 3)):
        variation = RecoPixelVariation(8, 3, 1.0, 0.0, 0.0, 2, given, 0.0, 0.0)  # type: ignore[arg-type]  # what plug-ins pass
        assert variation.position == Position(1.0, 2.0, 3.0)
        assert variation.position.z == 3.0


def test_final_keeps_what_the_best_variation_says() -> None:
    variation = RecoPixelVariation.from_fit((8, 3, 2), good_fit())
    final = RecoPixelFinal.from_recopixelvariation(variation)
    assert final.id_tuple == (8, 3)
    assert final.llh == variation.llh
    assert final.position == variation.position
    assert SentPixelVariation(8, 3, 2).id_tuple == variation.id_tuple


def test_table_is_sorted_and_finds_pixels() -> None:
    table = PixelTable(8, rows((5, 2.0), (1, 3.0), (9, 1.0)))
    assert list(table) == [1, 5, 9]
    assert table[5].llh == 2.0
    assert isinstance(table[5].llh, float)
    assert 4 not in table
    assert "5" not in table  # type: ignore[comparison-overlap]  # asked on purpose
    with pytest.raises(KeyError):
        table[4]
    assert table.to_array().dtype == PIXEL_DTYPE


def test_table_copies_what_it_is_given_and_what_it_gives() -> None:
    given = rows((1, 3.0))
    table = PixelTable(8, given)
    given["llh"] = 0.0
    table.to_array()["llh"] = 0.0
    assert table[1].llh == 3.0


def test_columns_that_early_files_lack_are_nan() -> None:
    early = np.zeros(1, [("index", "<i8"), ("llh", "<f8"), ("E_in", "<f8"), ("E_tot", "<f8")])
    pixel = PixelTable(8, early)[0]
    assert pixel.reco_losses_inside == 0.0
    assert math.isnan(pixel.position.x)
    assert math.isnan(pixel.time)


@pytest.mark.parametrize(
    "pixels", [[(1, 1.0), (1, 2.0)], [(-1, 1.0)], [(768, 1.0)]], ids=["twice", "negative", "beyond"]
)
def test_table_refuses_pixels_that_cannot_be(pixels: list[tuple[int, float]]) -> None:
    with pytest.raises(ResultError, match="nside-8"):
        PixelTable(8, rows(*pixels))


@pytest.mark.parametrize(
    "dtype",
    [
        [("index", "<i8")],
        [("llh", "<f8")],
        [("index", "<f8"), ("llh", "<f8")],
        [("index", "<i8"), ("llh", "U5")],
        [("index", "<i8"), ("llh", "<f8", (2,))],
    ],
)
def test_table_refuses_columns_that_are_not_numbers(dtype: list[tuple[str, str]]) -> None:
    with pytest.raises(ResultError, match="nside-8"):
        PixelTable(8, np.zeros(1, dtype))


def test_table_refuses_plain_array() -> None:
    with pytest.raises(ResultError):
        PixelTable(8, np.zeros(3))  # type: ignore[arg-type]  # what a broken file may hold


def test_nan_is_never_the_best() -> None:
    table = PixelTable(8, rows((0, math.nan), (1, math.inf), (2, 5.0), (3, 5.0)))
    best = table.best()
    assert best is not None
    assert best.pixel_id == 2
    assert PixelTable(8, rows((0, math.nan))).best() is None
    assert PixelTable(8, rows()).best() is None


def test_nsides_dict_reads_like_nested_dicts() -> None:
    pixels = NSidesDict.from_arrays({64: rows((7, 1.0)), 8: rows((1, 3.0), (2, 1.0))})
    assert list(pixels) == [8, 64]
    assert pixels[8][1].llh == 3.0
    assert {nside: len(table) for nside, table in pixels.items()} == {8: 2, 64: 1}
    assert pixels.n_pixels == 3
    best = pixels.best()
    assert best is not None
    assert best.id_tuple == (64, 7), "of equals the finer pixel"


def test_nsides_dict_made_from_plain_dicts_is_the_same() -> None:
    original = NSidesDict.from_arrays({8: rows((1, 3.0), (2, math.nan)), 64: rows((7, 1.0))})
    plain = {nside: dict(reversed(list(table.items()))) for nside, table in original.items()}
    copy = NSidesDict(plain)
    assert copy == original
    assert copy != NSidesDict()
    assert NSidesDict.from_arrays(copy.to_arrays()) == original


def test_nsides_dict_keeps_the_energy_of_plain_dicts() -> None:
    final = RecoPixelFinal(8, 3, 1.0, 0.0, 0.0, Position(0, 0, 0), 0.0, 123.0)
    other = RecoPixelFinal(8, 1, 1.0, 0.0, 0.0, Position(0, 0, 0), 0.0, 456.0)
    pixels = NSidesDict({8: {3: final, 1: other}})
    assert (pixels[8][3].energy, pixels[8][1].energy) == (123.0, 456.0)
    assert math.isnan(NSidesDict.from_arrays(pixels.to_arrays())[8][3].energy)


def test_nsides_dict_refuses_pixel_under_wrong_key() -> None:
    final = RecoPixelFinal(8, 3, 1.0, 0.0, 0.0, Position(0, 0, 0), 0.0, 0.0)
    with pytest.raises(ResultError, match="wrong key"):
        NSidesDict({8: {4: final}})
    with pytest.raises(ResultError, match="wrong key"):
        NSidesDict({16: {3: final}})


def test_data_types_survive_pickling_between_our_processes() -> None:
    final = RecoPixelFinal(8, 3, 1.0, 0.0, 0.0, Position(0, 0, 0), 0.0, 0.0)
    for thing in (good_fit(), final, RecoPixelVariation.from_fit((8, 3, 2), good_fit())):
        assert pickle.loads(pickle.dumps(thing)) == thing  # noqa: S301  # our own bytes
