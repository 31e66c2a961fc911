"""What is written is read back equal, in both formats; what is damaged is refused by name."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skymap_scanner.exceptions import ResultError
from skymap_scanner.pixels import PIXEL_DTYPE, NSidesDict
from skymap_scanner.result import EventMetadata, ResultWarning, ScanHeader, SkyScanResult
from synthetic_maps import gaussian, scan

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINITE = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.tuples(FINITE, *[FINITE | st.just(np.nan)] * 6)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
EVENTS = st.builds(
    EventMetadata,
    run_id=st.integers(100_000, 999_999),
    event_id=st.integers(0, 2**40),
    event_type=st.sampled_from(["HESE", "EHE", "neutrino", "ESTRES", None]),
    mjd=st.floats(50_000, 70_000),
    is_real_event=st.booleans(),
)


@st.composite
def tables(draw: st.DrawFn, nside: int) -> NDArray[np.void]:
    indices = draw(st.lists(st.integers(0, 12 * nside**2 - 1), unique=True, min_size=1, max_size=8))
    rows = [(ipix, *draw(NUMBERS)) for ipix in indices]
    return np.array(rows, PIXEL_DTYPE)


@st.composite
def results(draw: st.DrawFn) -> SkyScanResult:
    nsides = draw(st.sets(st.sampled_from([1, 8, 64, 512, 2**20]), min_size=1))
    header = ScanHeader(
        draw(EVENTS),
        draw(st.booleans()),
        # numpy drops trailing NUL characters, which no name has
        draw(WORDS),
        draw(st.dictionaries(WORDS, st.integers() | FINITE | WORDS | st.none(), max_size=3)),
        draw(WORDS),
    )
    return SkyScanResult(
        NSidesDict.from_arrays({nside: draw(tables(nside)) for nside in nsides}), header
    )


@settings(max_examples=60)
@given(result=results())
def test_what_is_written_is_read_back(result: SkyScanResult) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for path, read in (
            (result.to_npz(output_dir=folder), SkyScanResult.read_npz),
            (result.to_json(output_dir=folder), SkyScanResult.read_json),
        ):
            back = read(path)
            assert back == result
            assert back.is_close(result)
            assert back.header == result.header
            assert back.best_fit.tobytes() == result.best_fit.tobytes()


def _whole_files() -> dict[str, bytes]:
    result = scan(gaussian(1.0, 0.5, 0.05), ((2, 0), (4, 2)), reco_algo="dummy")
    with tempfile.TemporaryDirectory() as folder:
        paths = [result.to_npz(output_dir=folder), result.to_json(output_dir=folder)]
        return {path.suffix: path.read_bytes() for path in paths}


WHOLE = _whole_files()


@settings(max_examples=300)
@given(
    suffix=st.sampled_from([".npz", ".json"]),
    where=st.floats(0, 1, exclude_max=True),
    cut=st.integers(0, 30),
    patch=st.binary(max_size=30),
)
def test_damage_is_harmless_or_refused(suffix: str, where: float, cut: int, patch: bytes) -> None:
    content = WHOLE[suffix]
    at = int(where * len(content))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"damaged{suffix}"
        path.write_bytes(content[:at] + patch + content[at + cut :])
        read = SkyScanResult.read_npz if suffix == ".npz" else SkyScanResult.read_json
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResultWarning)
            # zipfile warns of names that appear twice
            warnings.simplefilter("ignore", UserWarning)
            try:
                result = read(path)
            except ResultError as error:
                assert path.name in str(error)  # noqa: PT017
            else:
                assert all(np.isfinite(result.result[key]["llh"]).all() for key in result.result)
