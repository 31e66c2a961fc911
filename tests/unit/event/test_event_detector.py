"""The built-in detector and what one can ask it."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.event.detector import Detector, built_in_detector
from skymap_scanner.exceptions import EventError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_built_in_detector_is_icecube_with_86_strings() -> None:
    detector = built_in_detector()
    assert detector.source == "IceCube-86 built-in"
    assert detector.n_om == 5160
    assert detector.om_xyz.min(axis=0) == pytest.approx([-570.90, -521.08, -512.82])
    assert detector.om_xyz.max(axis=0) == pytest.approx([576.37, 509.50, 524.56])
    assert np.count_nonzero(detector.rel_efficiency == 1.35) == 399
    assert np.count_nonzero(detector.rel_efficiency == 1.0) == 5160 - 399
    assert detector.is_alive.all()
    assert np.count_nonzero(detector.is_deepcore) == 8 * 60
    high = np.unique(detector.om_key[detector.rel_efficiency > 1.0, 0])
    assert high.tolist() == [36, 43, *range(79, 87)]


@pytest.mark.shared
def test_the_built_in_table_equals_the_reference_table(shared: Path) -> None:
    lines = (shared / "reference" / "icecube86_geometry.csv").read_text("utf-8").splitlines()
    rows = list(csv.reader(line for line in lines if not line.startswith("#")))[1:]
    expected = np.array(rows, dtype=np.float64)
    detector = built_in_detector()
    assert np.array_equal(detector.om_key, expected[:, :2])
    assert np.array_equal(detector.om_xyz, expected[:, 2:5])
    assert np.array_equal(detector.rel_efficiency, expected[:, 5])


def test_rows_are_found_by_string_and_module() -> None:
    detector = built_in_detector()
    assert detector.index_of(1, 1) == 0
    assert detector.index_of(86, 60) == 5159
    rows = detector.indices_of(detector.om_key[::7, 0], detector.om_key[::7, 1])
    assert np.array_equal(rows, np.arange(0, 5160, 7))


@pytest.mark.parametrize("key", [(0, 1), (87, 1), (1, 0), (1, 61), (1, 1001), (-1, 5), (10**9, 3)])
def test_modules_that_do_not_exist_are_unknown(key: tuple[int, int]) -> None:
    detector = built_in_detector()
    assert detector.indices_of([key[0]], [key[1]]).tolist() == [-1]
    with pytest.raises(EventError, match=r"unknown optical module \(found \("):
        detector.index_of(*key)


def test_dead_modules_leave_the_original_alone() -> None:
    detector = built_in_detector()
    partly = detector.with_dead([(30, 60), (74, 61), (0, 1)])
    assert detector.is_alive.all()
    assert np.flatnonzero(~partly.is_alive).tolist() == [detector.index_of(30, 60)]
    assert partly.with_alive(np.array([detector.index_of(30, 60)])).is_alive.all()


def test_a_detector_must_be_sorted_and_of_one_length() -> None:
    key = np.array([[2, 1], [1, 1]])
    ones = np.ones(2)
    with pytest.raises(ValueError, match="sorted"):
        Detector(key, np.zeros((2, 3)), ones, ones.astype(bool), "test")
    with pytest.raises(ValueError, match="disagree"):
        Detector(key, np.zeros((3, 3)), ones, ones.astype(bool), "test")
    with pytest.raises(ValueError, match="one entry per module"):
        Detector(key, np.zeros((2, 3)), np.ones(3), ones.astype(bool), "test")
