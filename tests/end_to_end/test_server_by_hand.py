"""Server and clients that are started one by one, as on a cluster."""

from __future__ import annotations

import json
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest
from real_programs import IDLE, SLOW, finish, kill, processes_with, wait_for

from skymap_scanner.result import SkyScanResult
from skymap_scanner.result.manifest import read_manifest

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from real_programs import Programs

NAME = "run00000001.evt000000000001.neutrino"
EMBEDDED = {"SKYSCAN_BROKER_CLIENT": "embedded"}
LONGER = ("--nsides", "2:0", "8:12")


def start_server(
    programs: Programs, event_file: Path, *options: object, **environment: str
) -> subprocess.Popen[str]:
    """Start a server with the classic options; all folders are the same, relative one."""
    return programs.start(
        "server", "--client-startup-json", "startup.json", "--cache-dir", ".", "--output-dir", ".",
        "--event-file", event_file, *options, **{**EMBEDDED, **environment},
    )  # fmt: skip


def start_client(programs: Programs, *options: object, **environment: str) -> subprocess.Popen[str]:
    """Start a client of that server."""
    startup_json = programs.folder / "startup.json"
    return programs.start(
        "client", "--client-startup-json", startup_json, *options, **{**EMBEDDED, **environment}
    )


def children(programs: Programs) -> list[int]:
    """The reconstructing processes of this test."""
    return processes_with("skymap_scanner.client.child", str(programs.folder))


def check_complete(folder: Path) -> None:
    """Check that every pixel that was sent is in the map, once."""
    result = SkyScanResult.read_npz(folder / f"{NAME}_2_8.npz")
    assert result.header.is_complete
    manifest = read_manifest(folder / f"{NAME}_scan-manifest.json")
    levels = manifest["progress"]["levels"]
    assert [level["n_pixels"] for level in levels] == [
        len(result.get_results_per_nside(nside)) for nside in (2, 8)
    ]
    assert manifest["n_failed"] == 0


def test_classic_five_option_call_with_clients_before_and_after(
    programs: Programs, event_file: Path
) -> None:
    early = start_client(programs)
    server = start_server(programs, event_file, *SLOW, *LONGER)
    late = start_client(programs, "--workers", 2)
    served = finish(server)
    # without the broadcast of the end they would wait for half an hour
    for client in (early, late):
        assert finish(client).returncode == 0
    assert served.returncode == 0, served.stderr
    check_complete(programs.folder)
    assert (programs.folder / NAME).is_dir()


def test_startup_json_has_the_classic_keys_and_no_secret(
    programs: Programs, event_file: Path
) -> None:
    server = start_server(programs, event_file, *IDLE, "--nsides", "1:0")
    path = programs.folder / "startup.json"
    wait_for(path.exists, "the startup JSON")
    text = path.read_text("utf-8")
    document = json.loads(text)
    assert {"scan_id", "mq_basename", "baseline_GCD_file", "GCDQp_packet"} <= set(document)
    assert [label for label, _ in document["GCDQp_packet"]["frames"]] == list("GCDQp")
    run_id, event_id, nside, _, _ = document["scan_id"].split("-")
    assert (run_id, event_id, nside) == ("1", "1", "1")
    from pathlib import Path

    token_file = Path(document["broker"]["token_file"])
    wait_for(token_file.exists, "the token")
    assert token_file.stat().st_mode & 0o077 == 0
    assert token_file.read_text("utf-8").strip() not in text
    kill(server.pid, signal.SIGTERM)
    assert finish(server).returncode == 130
    assert not token_file.exists()


def test_the_embedded_broker_can_be_served_on_a_unix_socket(
    programs: Programs, event_file: Path
) -> None:
    address = f"unix://{programs.folder}/broker.sock"
    server = start_server(
        programs, event_file, *IDLE, "--nsides", "1:0", SKYSCAN_BROKER_ADDRESS=address
    )
    client = start_client(programs)
    assert finish(server).returncode == 0
    assert finish(client).returncode == 0
    startup = json.loads((programs.folder / "startup.json").read_bytes())
    assert startup["broker"]["address"] == address
    assert not (programs.folder / "broker.sock").exists()


def test_an_address_that_is_taken_ends_with_exit_code_13(
    programs: Programs, event_file: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        served = finish(start_server(programs, event_file, *IDLE, SKYSCAN_BROKER_ADDRESS=address))
    assert served.returncode == 13
    assert address in served.stderr.splitlines()[-1]


def test_killed_client_gives_its_pixels_to_another(programs: Programs, event_file: Path) -> None:
    server = start_server(programs, event_file, *SLOW, *LONGER)
    first = start_client(programs, "--workers", 2, EWMS_PILOT_PREFETCH="5")
    wait_for(lambda: len(children(programs)) == 2, "two children")
    kill(first.pid)
    finish(first)
    second = start_client(programs, "--workers", 2)
    served = finish(server)
    assert served.returncode == 0, served.stderr
    assert finish(second).returncode == 0
    check_complete(programs.folder)


def test_no_client_at_all_ends_with_exit_code_10(programs: Programs, event_file: Path) -> None:
    served = finish(
        start_server(programs, event_file, *IDLE, SKYSCAN_MQ_TIMEOUT_FROM_CLIENTS="0.5")
    )
    assert served.returncode == 10
    last = served.stderr.splitlines()[-1]
    assert last.startswith("skymap-scanner: error: no client came within 0.5 s")


def test_clients_that_all_left_end_with_exit_code_11_and_a_partial_map(
    programs: Programs, event_file: Path
) -> None:
    server = start_server(
        programs, event_file, *SLOW, *LONGER,
        SKYSCAN_MQ_TIMEOUT_FROM_CLIENTS="8", SKYSCAN_RESULT_INTERVAL_SEC="0.2",
    )  # fmt: skip
    client = start_client(programs)
    partial = programs.folder / f"{NAME}_2_8.npz"
    wait_for(partial.exists, "a first result")
    kill(client.pid)
    served = finish(server)
    assert served.returncode == 11
    assert "no sign of life" in served.stderr.splitlines()[-1]
    assert not SkyScanResult.read_npz(partial).header.is_complete
    manifest = read_manifest(programs.folder / f"{NAME}_scan-manifest.json")
    assert "no sign of life" in manifest["progress"]["end"]


def test_sigterm_stops_the_server_and_its_clients(programs: Programs, event_file: Path) -> None:
    server = start_server(programs, event_file, *SLOW, *LONGER)
    client = start_client(programs)
    wait_for(lambda: children(programs), "a child")
    kill(server.pid, signal.SIGTERM)
    assert finish(server).returncode == 130
    assert finish(client).returncode == 0


@pytest.mark.parametrize("kind", ["rabbitmq", "pulsar", "nats", None])
def test_brokers_that_come_later_are_refused_with_a_sentence(
    programs: Programs, event_file: Path, kind: str | None
) -> None:
    environment = {} if kind is None else {"SKYSCAN_BROKER_CLIENT": kind}
    done = programs.run(
        "server", "--client-startup-json", "startup.json", "-c", ".", "-o", ".",
        "-e", event_file, *IDLE, **environment,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("skymap-scanner: error: SKYSCAN_BROKER_CLIENT: ")
    assert "later release" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--client-startup-json", "nowhere/startup.json"], "nowhere"),
        (["--reco-algo", "no_such"], "splinempe"),
        (["--real-event"], "run 1"),
    ],
)
def test_bad_usage_of_the_server_ends_with_exit_code_2(
    programs: Programs, event_file: Path, options: list[str], words: str
) -> None:
    served = finish(start_server(programs, event_file, *IDLE, *options))
    assert served.returncode == 2
    last = served.stderr.splitlines()[-1]
    assert last.startswith("skymap-scanner: error: ")
    assert words in last


def test_progress_comes_by_the_clock_also_when_nothing_else_does(
    programs: Programs, event_file: Path
) -> None:
    served = finish(
        start_server(
            programs, event_file, *IDLE, "--nsides", "1:0",
            SKYSCAN_PROGRESS_INTERVAL_SEC="0.2", SKYSCAN_MQ_TIMEOUT_FROM_CLIENTS="6",
        )
    )  # fmt: skip
    assert served.returncode == 10
    assert served.stderr.count("0 % of about 12 fits; nside 1: 0/12; 0/s with no workers") >= 2


def test_a_client_that_comes_after_the_end_learns_it_from_the_startup_json(
    programs: Programs, event_file: Path
) -> None:
    server = start_server(programs, event_file, *IDLE, "--nsides", "1:0")
    client = start_client(programs)
    assert finish(server).returncode == 0
    assert finish(client).returncode == 0
    late = finish(start_client(programs, SKYSCAN_CLIENT_WAIT_FOR_STARTUP_JSON="0.5"))
    assert late.returncode == 0
    assert "is over" in late.stderr


def test_a_signal_while_clients_say_goodbye_does_not_harm_the_complete_map(
    programs: Programs, event_file: Path
) -> None:
    server = start_server(programs, event_file, *SLOW, *LONGER)
    client = start_client(programs)
    wait_for(lambda: children(programs), "a child")
    sleeper = start_client(programs)
    wait_for(lambda: len(children(programs)) == 2, "another child")
    kill(sleeper.pid, signal.SIGSTOP)  # its bye is waited for
    path = programs.folder / f"{NAME}_2_8.npz"
    try:
        wait_for(
            lambda: path.exists() and SkyScanResult.read_npz(path).header.is_complete,
            "a complete map before the farewells",
        )
        kill(server.pid, signal.SIGTERM)
        assert finish(server).returncode == 0
    finally:
        kill(sleeper.pid)
    finish(client)
    check_complete(programs.folder)


def test_a_scan_that_cannot_begin_leaves_earlier_files_alone(
    programs: Programs, event_file: Path
) -> None:
    server = start_server(programs, event_file, *IDLE, "--nsides", "1:0")
    client = start_client(programs)
    assert finish(server).returncode == finish(client).returncode == 0
    manifest = programs.folder / f"{NAME}_scan-manifest.json"
    before = manifest.read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        again = start_server(
            programs, event_file, *IDLE, "--nsides", "1:0", SKYSCAN_BROKER_ADDRESS=address
        )
        assert finish(again).returncode == 13
    assert manifest.read_bytes() == before


def test_what_is_known_is_saved_before_clients_are_waited_for(
    programs: Programs, event_file: Path
) -> None:
    server = start_server(programs, event_file, *SLOW, *LONGER)
    client = start_client(programs)
    log = programs.folder / "startup.json"
    wait_for(log.exists, "the startup JSON")
    wait_for(lambda: children(programs), "a child")
    time.sleep(4.0)  # the child starts, and does some pixels; all of them take thirteen seconds
    kill(client.pid, signal.SIGSTOP)  # its bye is waited for
    try:
        kill(server.pid, signal.SIGTERM)
        wait_for((programs.folder / f"{NAME}_2_8.npz").exists, "a partial map")
        assert server.poll() is None  # it waits for seconds, after the map is there
    finally:
        kill(server.pid)
        kill(client.pid)
    finish(server)
    assert not SkyScanResult.read_npz(programs.folder / f"{NAME}_2_8.npz").header.is_complete
