"""``skymap-scanner scan``: one command, all files, the same bits however it went."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING

import pytest
from real_programs import IDLE, SLOW, finish, kill, processes_with, wait_for

from skymap_scanner.cli.local_clients import LocalClient
from skymap_scanner.exceptions import WorkersGoneError
from skymap_scanner.result import SkyScanResult
from skymap_scanner.result.manifest import read_manifest
from skymap_scanner.result.schema import explain_mismatch

if TYPE_CHECKING:
    from pathlib import Path

    from real_programs import Programs

NAME = "run00000001.evt000000000001.neutrino"
TINY = ("--nsides", "1:0", "2:4", "--no-plots")
#: 48 + 12 * 16 pixels of one variation.
LONGER = ("--nsides", "2:0", "8:12", "--no-plots")


def maps_in(folder: Path, nsides: str) -> list[bytes]:
    """The two files of a result, as bytes."""
    return [(folder / f"{NAME}_{nsides}.{suffix}").read_bytes() for suffix in ("npz", "json")]


def test_scan_writes_valid_files_and_a_summary(programs: Programs, event_file: Path) -> None:
    done = programs.scan(event_file, *IDLE, "--nsides", "1:0", "2:4", "-o", "out")
    assert done.returncode == 0, done.stderr
    folder = programs.folder / "out"
    result = SkyScanResult.read_npz(folder / f"{NAME}_1_2.npz")
    assert result == SkyScanResult.read_json(folder / f"{NAME}_1_2.json")
    assert result.nsides == [1, 2]
    assert len(result.get_results_per_nside(1)) == 12
    assert result.header.is_complete
    assert result.header.reco_algo == "dummy"
    manifest = read_manifest(folder / f"{NAME}_scan-manifest.json")
    assert manifest["is_complete"]
    assert manifest["scan_metadata"]["reco_options"] == {"sleep_min_s": 0.0, "sleep_max_s": 0.0}
    assert manifest["scan_metadata"]["detector"] == "IceCube-86 built-in"
    assert set(manifest["files"]) == {"npz", "json", "manifest", "all_sky", "zoom"}
    for name in manifest["files"].values():
        assert (folder / name).stat().st_size > 0
    pictures = [folder / manifest["files"][kind] for kind in ("all_sky", "zoom")]
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)
    for word in ("best fit", "50 % region", "90 % region", "CPU", ".npz", "all_sky"):
        assert word in done.stdout
    assert "nside 2: " in done.stderr


def test_json_is_the_only_thing_on_stdout(programs: Programs, event_file: Path) -> None:
    done = programs.scan(event_file, *IDLE, *TINY, "-o", "out", "--json", "--workers", 1)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert explain_mismatch("scan", document) is None
    assert document["n_pixels"] == sum(
        len(SkyScanResult.read_npz(document["files"]["npz"]).get_results_per_nside(nside))
        for nside in (1, 2)
    )
    assert document["nsides"] == [1, 2]
    assert document["n_failed"] == 0
    assert document["cpu_s"] > 0
    assert document["wall_s"] > 0


def test_quiet_says_nothing_until_the_end(programs: Programs, event_file: Path) -> None:
    done = programs.scan(event_file, *IDLE, *TINY, "--quiet")
    assert done.returncode == 0
    assert done.stderr == ""
    assert (programs.folder / "scan-output" / f"{NAME}_1_2.npz").exists()


def test_number_of_workers_and_repetition_change_no_bit(
    programs: Programs, event_file: Path
) -> None:
    for folder, n_workers in (("one", 1), ("four", 4), ("again", 4)):
        done = programs.scan(event_file, *IDLE, *LONGER, "-o", folder, "--workers", n_workers)
        assert done.returncode == 0, done.stderr
    one, four, again = (maps_in(programs.folder / name, "2_8") for name in ("one", "four", "again"))
    assert one == four == again


def test_killed_children_and_clients_change_no_bit(programs: Programs, event_file: Path) -> None:
    quiet = programs.scan(event_file, *SLOW, *LONGER, "-o", "quiet", "--workers", 2)
    assert quiet.returncode == 0, quiet.stderr
    scan = programs.start("cli", "scan", event_file, *SLOW, *LONGER, "-o", "rough", "--workers", 2)
    mine = str(programs.folder)

    def children() -> list[int]:
        return processes_with("skymap_scanner.client.child", mine)

    def clients() -> list[int]:
        return processes_with("-m skymap_scanner.client ", mine)

    wait_for(lambda: len(children()) == 2, "two children")
    for _ in range(2):
        before = set(children())
        kill(next(iter(before)))
        wait_for(lambda known=before: len(set(children()) - known) == 1, "a new child")  # type: ignore[misc]  # bound now
    (client,) = clients()
    kill(client)
    wait_for(lambda: set(clients()) - {client}, "a new client")
    done = finish(scan)
    assert done.returncode == 0, done.stderr
    assert maps_in(programs.folder / "rough", "2_8") == maps_in(programs.folder / "quiet", "2_8")
    assert processes_with(mine) == []


def test_ctrl_c_keeps_what_is_known_and_leaves_nobody_behind(
    programs: Programs, event_file: Path
) -> None:
    scan = programs.start(
        "cli", "scan", event_file, *SLOW, *LONGER, "-o", "out", "--workers", 1,
        SKYSCAN_RESULT_INTERVAL_SEC="0.2",
    )  # fmt: skip
    partial = programs.folder / "out" / f"{NAME}_2_8.npz"
    wait_for(partial.exists, "a first result")
    assert not SkyScanResult.read_npz(partial).header.is_complete
    kill(scan.pid, signal.SIGINT)
    done = finish(scan)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "skymap-scanner: error: the scan was stopped by Ctrl-C"
    assert not SkyScanResult.read_npz(partial).header.is_complete
    assert processes_with(str(programs.folder)) == []


def test_sigterm_is_as_good_as_ctrl_c(programs: Programs, event_file: Path) -> None:
    scan = programs.start("cli", "scan", event_file, *SLOW, *LONGER, "--workers", 1)
    mine = str(programs.folder)
    wait_for(lambda: processes_with("skymap_scanner.client.child", mine), "a child")
    kill(scan.pid, signal.SIGTERM)
    done = finish(scan)
    assert done.returncode == 130
    assert "SIGTERM" in done.stderr.splitlines()[-1]
    assert processes_with(mine) == []


def test_a_killed_scan_leaves_no_process_behind(programs: Programs, event_file: Path) -> None:
    scan = programs.start("cli", "scan", event_file, *SLOW, *LONGER, "--workers", 2)
    mine = str(programs.folder)
    wait_for(lambda: len(processes_with("skymap_scanner.client.child", mine)) == 2, "two children")
    kill(scan.pid)
    finish(scan)
    wait_for(lambda: processes_with(mine) == [], "the end of all processes", limit_s=30.0)


@pytest.mark.parametrize("kind", ["abort", "exception", "exit"])
def test_crashes_are_tried_again_or_recorded(
    programs: Programs, event_file: Path, kind: str
) -> None:
    done = programs.scan(
        event_file, "--reco-algo", "crash_dummy", "--reco-option", f"kind={kind}",
        "--reco-option", "probability=0.3", *IDLE[2:], *TINY, "-o", "out", "--json",
        SKYSCAN_MAX_FAILED_PIXELS="1", SKYSCAN_MAX_ATTEMPTS="2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    manifest = read_manifest(document["files"]["manifest"])
    sent = sum(level["n_pixels"] for level in manifest["progress"]["levels"])
    assert document["n_pixels"] + document["n_failed"] == sent
    assert document["n_failed"] == len(manifest["failed"])
    for pixel in manifest["failed"]:
        assert len(pixel["reasons"]) == 2


def test_too_many_failures_end_the_scan_with_what_there_is(
    programs: Programs, event_file: Path
) -> None:
    done = programs.scan(
        event_file, "--reco-algo", "crash_dummy", "--reco-option", "kind=exception",
        "--reco-option", "probability=0.3", *IDLE[2:], "--nsides", "4:0", "-o", "out",
        SKYSCAN_MAX_ATTEMPTS="1",
    )  # fmt: skip
    assert done.returncode == 12
    last = done.stderr.splitlines()[-1]
    assert last.startswith("skymap-scanner: error: nside 4: ")
    assert "no finite fit" in last
    manifest = read_manifest(programs.folder / "out" / f"{NAME}_scan-manifest.json")
    assert not manifest["is_complete"]
    assert manifest["failed"]
    assert not SkyScanResult.read_npz(programs.folder / "out" / f"{NAME}_4.npz").header.is_complete


def test_a_client_that_cannot_begin_is_given_up_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYSCAN_CLIENT_WAIT_FOR_STARTUP_JSON", "0")

    async def nothing(startup_json: Path) -> None:
        assert startup_json.name == "missing.json"

    log_file = tmp_path / "client.log"
    client = LocalClient(
        n_workers=1, log_file=log_file, count_fits=lambda: 0, before=nothing, find_fault=nothing
    )
    with pytest.raises(WorkersGoneError, match=r"3 times .* startup JSON did not appear") as caught:
        asyncio.run(client.run(tmp_path / "missing.json"))
    assert str(log_file) in str(caught.value)
    assert log_file.read_text().count("did not appear") == 3


def test_cone_scan_covers_its_cone_and_refines_inside_of_it(
    programs: Programs, event_file: Path
) -> None:
    import numpy as np

    from skymap_scanner.sky.region import Cone

    done = programs.scan(
        event_file, *IDLE, "--nsides", "8:0", "16:12", "--around", "40,-10,12", "--no-plots",
        "-o", "out", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = SkyScanResult.read_npz(json.loads(done.stdout)["files"]["npz"])
    cone = Cone.from_degrees(40.0, -10.0, 12.0)
    coarse, fine = (result.get_results_per_nside(nside)["index"] for nside in (8, 16))
    np.testing.assert_array_equal(coarse, cone.overlapping(8))
    assert len(fine) > 1
    assert np.isin(fine, cone.pixels(16)).all()


def test_splinempe_gives_the_same_bits_with_any_number_of_workers(
    programs: Programs, event_file: Path
) -> None:
    truth = json.loads(event_file.with_suffix(".truth.json").read_bytes())
    around = f"{truth['ra_deg']},{truth['dec_deg']},5"
    maps = []
    for folder, n_workers in (("one", 1), ("three", 3)):
        done = programs.scan(
            event_file, "--nsides", "8:0", "32:3", "--around", around, "--no-plots", "--json",
            "-o", folder, "--workers", n_workers,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        maps.append(maps_in(programs.folder / folder, "8_32"))
    assert maps[0] == maps[1]
    document = json.loads(done.stdout)
    assert document["level_rule"] == "calibrated"
    assert document["n_failed"] == 0
    assert abs(document["dec_deg"] - truth["dec_deg"]) < 3.0


def test_the_address_of_another_broker_is_no_business_of_a_local_scan(
    programs: Programs, event_file: Path
) -> None:
    done = programs.scan(
        event_file, *IDLE, "--nsides", "1:0", "-o", "out", "--no-plots",
        SKYSCAN_BROKER_CLIENT="rabbitmq",
        SKYSCAN_BROKER_ADDRESS="amqp://user:secret@rabbit:5672/vhost",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_a_fault_of_ours_still_keeps_what_is_known(programs: Programs, event_file: Path) -> None:
    broken = programs.folder / "sitecustomize.py"
    broken.write_text(
        "import sys\n"
        "if 'scan' in sys.argv:\n"
        "    from skymap_scanner.server import loop\n"
        "    hear, n = loop.ScanLoop._hear, [0]\n"
        "    def broken(self, body):\n"
        "        n[0] += 1\n"
        "        if n[0] >= 40:\n"
        "            raise MemoryError('none left')\n"
        "        return hear(self, body)\n"
        "    loop.ScanLoop._hear = broken\n"
    )
    done = programs.scan(
        event_file, *IDLE, "--nsides", "2:0", "-o", "out", "--no-plots",
        PYTHONPATH=str(programs.folder),
    )  # fmt: skip
    assert done.returncode == 1
    assert "unexpected MemoryError: none left" in done.stderr.splitlines()[-1]
    partial = SkyScanResult.read_npz(programs.folder / "out" / f"{NAME}_2.npz")
    assert not partial.header.is_complete
    assert 0 < partial.n_pixels < 48
    assert processes_with(str(programs.folder)) == []
