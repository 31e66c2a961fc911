"""What happens when a result cannot be written: an OutputError, and the old file as it was."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import numpy as np
import pytest

from skymap_scanner.exceptions import OutputError
from synthetic_maps import map_of, pixel_rows

if TYPE_CHECKING:
    from pathlib import Path

# A file that may not grow beyond a few kB is the nearest to a full disk that needs no privilege.
SMALL_DISK = """
import resource, sys, signal
import numpy as np
from skymap_scanner.exceptions import OutputError
from skymap_scanner.pixels import PIXEL_DTYPE, NSidesDict
from skymap_scanner.result import SkyScanResult
rows = np.zeros(768, PIXEL_DTYPE)
rows["index"] = np.arange(768)
result = SkyScanResult(NSidesDict.from_arrays({8: rows}))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    getattr(result, sys.argv[1])(output_dir=sys.argv[2])
except OutputError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("method", ["to_npz", "to_json"])
def test_full_disk_leaves_the_old_file(tmp_path: Path, method: str) -> None:
    suffix = method.removeprefix("to_")
    path = tmp_path / f"run00000000.evt000000000000.None_8.{suffix}"
    path.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", SMALL_DISK, method, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert str(path) in done.stdout
    assert "cannot be written" in done.stdout
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    result = map_of({8: pixel_rows(np.array([3]), np.array([1.0]))})
    with pytest.raises(OutputError, match="nowhere"):
        result.to_npz(output_dir=tmp_path / "nowhere")


def test_an_error_half_way_leaves_no_debris(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(file: BinaryIO, *_args: object) -> NoReturn:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("skymap_scanner.result.scan_result.write_arrays", break_down)
    result = map_of({8: pixel_rows(np.array([3]), np.array([1.0]))})
    with pytest.raises(OutputError, match="No space left"):
        result.to_npz(output_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []
