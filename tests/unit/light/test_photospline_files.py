"""FITS files of photospline tables: the layout, whole round trips, and files that are not right."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skymap_scanner.exceptions import FormatError, OutputError
from skymap_scanner.light.photospline import SplineTable
from spline_tables import points_inside, random_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEYWORDS = st.dictionaries(
    st.from_regex(r"K[A-Z0-9_-]{0,15}", fullmatch=True),
    st.one_of(
        st.booleans(),
        st.integers(-(2**31), 2**31),
        st.integers(-9999, 9999).map(lambda n: n / 8.0),  # headers keep 16 digits
        st.text("abcxyz 0123./'", max_size=30).map(str.strip),
    ),
    max_size=4,
)


@given(
    orders=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
    repeat=st.booleans(),
    keywords=KEYWORDS,
)
@settings(max_examples=20)
def test_what_is_written_is_read_again(
    tmp_path: Path, orders: list[int], seed: int, repeat: bool, keywords: dict[str, Any]
) -> None:
    made = random_table(seed, orders, repeat=repeat, extra=3)
    table = SplineTable(made.coefficients, made.knots, made.orders, made.extents, keywords)
    path = tmp_path / "table.fits"
    table.write(path)
    again = SplineTable.read(path)
    np.testing.assert_array_equal(again.coefficients, table.coefficients)
    np.testing.assert_array_equal(again.extents, table.extents)
    assert again.orders == table.orders
    assert again.keywords == keywords
    for ours, theirs in zip(table.knots, again.knots, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    x = points_inside(table, seed, n=4)
    np.testing.assert_array_equal(again.evaluate(x), table.evaluate(x))
    again.write(path)  # while its coefficients are mapped from the file that is replaced
    np.testing.assert_array_equal(SplineTable.read(path).coefficients, table.coefficients)


def test_file_has_the_layout_of_the_library(tmp_path: Path) -> None:
    made = random_table(1, (1, 2, 3))
    table = SplineTable(made.coefficients, made.knots, made.orders, None, {"GEOMETRY": 1})
    table.write(tmp_path / "t.fits")
    with fits.open(tmp_path / "t.fits") as hdus:
        header = hdus[0].header
        assert [header[f"NAXIS{i}"] for i in (1, 2, 3)] == list(table.coefficients.shape[::-1])
        assert header["BITPIX"] == -32
        assert header["TYPE"] == "Spline Coefficient Table"
        assert [header[f"ORDER{i}"] for i in range(3)] == [1, 2, 3]
        assert [header[f"PERIOD{i}"] for i in range(3)] == [0.0, 0.0, 0.0]
        assert header["GEOMETRY"] == 1
        assert [hdu.name for hdu in hdus[1:]] == ["KNOTS0", "KNOTS1", "KNOTS2", "EXTENTS"]
        assert hdus["KNOTS1"].header["BITPIX"] == -64
        np.testing.assert_array_equal(hdus["KNOTS1"].data, table.knots[1])
        np.testing.assert_array_equal(hdus["EXTENTS"].data, table.extents.ravel())
    # the last dimension runs fastest, in big-endian bytes
    data = (tmp_path / "t.fits").read_bytes()[2880:]
    first = np.frombuffer(data, dtype=">f4", count=table.coefficients.shape[-1])
    np.testing.assert_array_equal(first, table.coefficients[0, 0])


def _hdus(table: SplineTable) -> fits.HDUList:
    """Return the parts of a file as the library or its older tools write them."""
    primary = fits.PrimaryHDU(table.coefficients)
    primary.header["TYPE"] = "Spline Coefficient Table"
    for d, order in enumerate(table.orders):
        primary.header[f"ORDER{d}"] = order
        primary.header[f"PERIOD{d}"] = 0.0
    knots = [fits.ImageHDU(k, name=f"KNOTS{d}") for d, k in enumerate(table.knots)]
    return fits.HDUList([primary, *knots, fits.ImageHDU(table.extents.ravel(), name="EXTENTS")])


def _one_order(hdus: fits.HDUList) -> None:
    for d in range(2):
        del hdus[0].header[f"ORDER{d}"]
    hdus[0].header["ORDER"] = 2


def _square_extents(hdus: fits.HDUList) -> None:
    hdus["EXTENTS"].data = hdus["EXTENTS"].data.reshape(2, 2)


def _no_type_and_periods(hdus: fits.HDUList) -> None:
    for key in ("TYPE", "PERIOD0", "PERIOD1"):
        del hdus[0].header[key]


def _other_order_of_extensions(hdus: fits.HDUList) -> None:
    extensions = [hdus.pop() for _ in range(len(hdus) - 1)]
    hdus.extend(extensions)


def _single_precision_knots(hdus: fits.HDUList) -> None:
    for d in range(2):
        hdus[f"KNOTS{d}"].data = hdus[f"KNOTS{d}"].data.astype(">f4")


def _double_precision_coefficients(hdus: fits.HDUList) -> None:
    hdus[0].data = hdus[0].data.astype(">f8")


def _no_extents(hdus: fits.HDUList) -> None:
    del hdus["EXTENTS"]


def _text(hdus: fits.HDUList) -> None:
    hdus[0].header["ORDER0"] = "2"
    hdus[0].header["PERIOD0"] = "0.0"


@pytest.mark.parametrize(
    "change",
    [
        _one_order,
        _square_extents,
        _no_type_and_periods,
        _other_order_of_extensions,
        _single_precision_knots,
        _double_precision_coefficients,
        _no_extents,
        _text,
    ],
)
def test_all_layouts_in_use_are_read(
    tmp_path: Path, change: Callable[[fits.HDUList], None]
) -> None:
    table = random_table(2, (2, 2))
    hdus = _hdus(table)
    change(hdus)
    hdus.writeto(tmp_path / "t.fits")
    again = SplineTable.read(str(tmp_path / "t.fits"))
    x = points_inside(table, 3)
    np.testing.assert_allclose(again.evaluate(x), table.evaluate(x), rtol=1e-4, atol=1e-4)
    assert again.orders == (2, 2)
    np.testing.assert_allclose(again.extents, table.extents, rtol=1e-6)


def test_free_keywords_are_passed_on(tmp_path: Path) -> None:
    hdus = _hdus(random_table(4, (1,)))
    hdus[0].header["GEOTYPE"] = "0"
    hdus[0].header["HIERARCH efficiency"] = 37
    hdus[0].header["NGROUP"] = 1.35
    hdus[0].header["COMMENT"] = "not a value"
    hdus[0].header["NOTHING"] = None
    hdus.writeto(tmp_path / "t.fits")
    keywords = SplineTable.read(tmp_path / "t.fits").keywords
    assert keywords == {"GEOTYPE": "0", "EFFICIENCY": 37, "NGROUP": 1.35}


def _set(key: str, value: object) -> Callable[[fits.HDUList], None]:
    def change(hdus: fits.HDUList) -> None:
        hdus[0].header[key] = value

    return change


def _without(name: str) -> Callable[[fits.HDUList], None]:
    def change(hdus: fits.HDUList) -> None:
        if name in ("ORDER0", "ORDER1"):
            del hdus[0].header[name]
        else:
            del hdus[name]

    return change


def _whole_numbers(hdus: fits.HDUList) -> None:
    hdus[0].data = hdus[0].data.astype(">i4")


def _knots_as_table(hdus: fits.HDUList) -> None:
    column = fits.Column("K", "D", array=hdus["KNOTS0"].data)
    hdus[1] = fits.BinTableHDU.from_columns([column], name="KNOTS0")


def _nan(hdus: fits.HDUList) -> None:
    hdus[0].data[1, 2] = np.nan


def _falling(hdus: fits.HDUList) -> None:
    hdus["KNOTS1"].data = hdus["KNOTS1"].data[::-1]


def _long_extents(hdus: fits.HDUList) -> None:
    hdus["EXTENTS"].data = np.arange(5.0)


def _empty(hdus: fits.HDUList) -> None:
    hdus[0] = fits.PrimaryHDU()


def _empty_knots(hdus: fits.HDUList) -> None:
    hdus[1] = fits.ImageHDU(name="KNOTS0")


@pytest.mark.parametrize(
    ("change", "place", "wanted"),
    [
        (_set("TYPE", "Sky map"), "TYPE", "Spline Coefficient Table"),
        (_set("ORDER0", 3), "KNOTS0", "order 3"),
        (_set("ORDER0", 1.5), "ORDER0", "a whole number"),
        (_set("ORDER0", "two"), "ORDER0", "a whole number"),
        (_set("ORDER1", 100), "ORDER1", "0 to "),
        (_set("PERIOD1", 360.0), "PERIOD1", "wanted 0"),
        (_set("PERIOD1", "often"), "PERIOD1", "wanted 0"),
        (_set("BSCALE", 2.0), "primary image", "not scaled"),
        (_without("ORDER1"), "ORDER1", "a whole number"),
        (_without("KNOTS0"), "", "KNOTS0"),
        (_without("KNOTS1"), "", "KNOTS1"),
        (_whole_numbers, "primary image", "BITPIX -32"),
        (_knots_as_table, "", "KNOTS0"),
        (_nan, "coefficient (1, 2)", "finite"),
        (_falling, "KNOTS1", "ascending"),
        (_long_extents, "EXTENTS", "wanted 4"),
        (_empty, "primary image", ""),
        (_empty_knots, "KNOTS0", ""),
    ],
)
def test_a_file_that_is_not_right_is_refused_with_its_place(
    tmp_path: Path, change: Callable[[fits.HDUList], None], place: str, wanted: str
) -> None:
    hdus = _hdus(random_table(5, (2, 2)))
    change(hdus)
    path = tmp_path / "t.fits"
    hdus.writeto(path)
    with pytest.raises(FormatError) as caught:
        SplineTable.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {place}")
    assert wanted in message
    assert message.count(str(path)) == 1


@pytest.mark.parametrize(
    "content", [b"", b"SIMPLE", b"PK\x03\x04zip", b"\x1f\x8b\x08gz", b"SIMPLE  =" + b" " * 4000]
)
def test_what_is_not_fits_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.fits").write_bytes(content)
    with pytest.raises(FormatError, match="FITS"):
        SplineTable.read(tmp_path / "t.fits")


def test_no_file_and_no_folder_is_a_table(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.fits"):
        with pytest.raises(FormatError, match=path.name):
            SplineTable.read(path)


@pytest.fixture(scope="module")
def whole_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "t.fits"
    random_table(6, (2, 3)).write(path)
    return path


@given(n_lost=st.integers(1, 8 * 2880))
@settings(max_examples=60)
@example(n_lost=2880 - 32 + 1)  # the last of the extents
@example(n_lost=2880)  # all of them
@example(n_lost=2880 + 1)  # a part of their header
def test_a_truncated_file_is_refused(tmp_path: Path, whole_path: Path, n_lost: int) -> None:
    whole = whole_path.read_bytes()
    assert len(whole) == 8 * 2880
    path = tmp_path / "cut.fits"
    path.write_bytes(whole[: len(whole) - n_lost])
    last_knots = SplineTable.read(whole_path).knots[1].nbytes
    if n_lost <= 2880 - 32 or 0 <= n_lost - 2 * 2880 <= 2880 - last_knots:
        SplineTable.read(path)  # only padding is lost, or there seem to be no extents
    else:
        with pytest.raises(FormatError):
            SplineTable.read(path)


def test_a_truncated_file_is_called_so(tmp_path: Path, whole_path: Path) -> None:
    path = tmp_path / "cut.fits"
    path.write_bytes(whole_path.read_bytes()[: 2880 + 100])
    with pytest.raises(FormatError, match=r"primary image: the file is truncated \(found 2980"):
        SplineTable.read(path)


@given(st.data())
@settings(max_examples=300)
def test_damage_is_refused_or_harmless(
    tmp_path: Path, whole_path: Path, data: st.DataObject
) -> None:
    whole = whole_path.read_bytes()
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(whole) - 1))
        changed[position] = data.draw(st.sampled_from(b" 0129='/TFE-\x00\x7f\xff"))
    path = tmp_path / "changed.fits"
    path.write_bytes(changed)
    try:
        table = SplineTable.read(path)
    except FormatError:
        return
    x = np.random.default_rng(1).uniform(-20.0, 60.0, (20, table.n_dim))
    with np.errstate(over="ignore", invalid="ignore"):  # knots may be anything that ascends
        table.evaluate(x)


@pytest.mark.parametrize("size", [10**7, 10**10, 10**12, 10**18])
def test_a_claim_of_terabytes_is_refused_before_memory_is_taken(
    tmp_path: Path, whole_path: Path, size: int
) -> None:
    whole = whole_path.read_bytes()
    card = f"NAXIS1  = {size:>20}".encode()
    start = whole.index(b"NAXIS1  =")
    (tmp_path / "t.fits").write_bytes(whole[:start] + card + whole[start + len(card) :])
    with pytest.raises(FormatError, match=r"truncated|cannot be read"):
        SplineTable.read(tmp_path / "t.fits")


def test_coefficients_stay_in_the_file(tmp_path: Path) -> None:
    size = 2_500_000
    knots = [np.arange(size + 3.0), np.arange(7.0)]
    coefficients = np.random.default_rng(1).normal(size=(size, 4)).astype(">f4")
    SplineTable(coefficients, knots, (2, 2)).write(tmp_path / "large.fits")
    tracemalloc.start()
    try:
        table = SplineTable.read(tmp_path / "large.fits")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert table.coefficients.nbytes == 40_000_000
    assert peak < 6 * knots[0].nbytes  # knots may be copied, 40 MB more may not
    assert not table.coefficients.flags.owndata
    assert not table.coefficients.flags.writeable


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        random_table(7, (1,)).write(tmp_path / "nowhere" / "t.fits")


def _with_keyword(name: str, value: object) -> SplineTable:
    made = random_table(8, (1,))
    keywords: dict[str, Any] = {name: value}
    return SplineTable(made.coefficients, made.knots, made.orders, None, keywords)


@pytest.mark.parametrize(
    ("name", "value"),
    [("lower", 1), ("A" * 41, 1), ("NAXIS1", 1), ("ORDER0", 1), ("A", None), ("A", "a\nb")],
)
def test_keywords_that_are_not_free_are_refused(tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(FormatError) as caught:
        _with_keyword(name, value).write(tmp_path / "t.fits")
    assert caught.value.place == name
    assert not (tmp_path / "t.fits").exists()


def test_a_long_text_is_kept(tmp_path: Path) -> None:
    _with_keyword("A", "long " * 100 + ".").write(tmp_path / "t.fits")
    assert SplineTable.read(tmp_path / "t.fits").keywords == {"A": "long " * 100 + "."}
