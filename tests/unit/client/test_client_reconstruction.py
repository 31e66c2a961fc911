"""What a child builds of the startup JSON is what the server had."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from skymap_scanner import i3
from skymap_scanner.client.reconstruction import build_runner
from skymap_scanner.client.startup import StartupFile
from skymap_scanner.event import read_event
from skymap_scanner.exceptions import EventError, FormatError, UsageError
from skymap_scanner.pixels import Seed
from skymap_scanner.recos.registry import make_reco
from skymap_scanner.recos.runner import make_runner

if TYPE_CHECKING:
    from pathlib import Path

SEED = Seed(8, 0, 1.0, 2.0, (0.0, 0.0, 0.0), 10_000.0, 1.0)
KEY = (8, 5, 0)


@pytest.fixture
def startup(root: Path) -> StartupFile:
    event = read_event(root / "examples" / "simulated_track.json")
    return StartupFile(
        scan_id="scan",
        gcdqp_packet=i3.packet_to_json(event.frames),
        reco_name="dummy",
        reco_options={"sleep_min_s": "0", "sleep_max_s": "0"},
        event_version=event.version,
    )


def changed(startup: StartupFile, **values: object) -> StartupFile:
    return dataclasses.replace(startup, **values)  # type: ignore[arg-type]  # fields of it


def test_the_runner_gives_what_it_gives_on_the_server(startup: StartupFile, root: Path) -> None:
    event = read_event(root / "examples" / "simulated_track.json")
    reco = make_reco("dummy", startup.reco_options)
    wanted = make_runner(reco, event)(SEED, KEY)
    got = build_runner(StartupFile.from_json(startup.to_json()))(SEED, KEY)
    assert got.is_ok
    assert got.nll == wanted.nll


def test_a_baseline_is_not_found_where_the_server_had_none(
    startup: StartupFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def spy(name: str, *, gcd_dir: str | None = None, cache_dir: object = None) -> None:
        seen.append(gcd_dir)

    monkeypatch.setattr("skymap_scanner.event.gcd.find_baseline", spy)
    build_runner(startup)
    assert None not in seen  # None would mean the standard places of this machine


def test_a_missing_baseline_is_said_before_anything_is_fitted(startup: StartupFile) -> None:
    lost = changed(startup, baseline_gcd_file="/nowhere/Baseline_GCD_1.i3.gz")
    with pytest.raises(EventError, match="does not have the baseline GCD file"):
        build_runner(lost)


def test_a_reconstruction_that_is_not_installed_here_is_named(startup: StartupFile) -> None:
    with pytest.raises(UsageError, match="no_such_reco"):
        build_runner(changed(startup, reco_name="no_such_reco"))


def test_a_damaged_packet_is_refused(startup: StartupFile) -> None:
    with pytest.raises(FormatError, match="GCDQp_packet"):
        build_runner(changed(startup, gcdqp_packet={"frames": [["G", "!"]]}))
