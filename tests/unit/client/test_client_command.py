"""The client's command line, without a scan."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from skymap_scanner.client.command import child_environment
from skymap_scanner.client.startup import BrokerPlace, StartupFile
from skymap_scanner.logs import configure_logging

if TYPE_CHECKING:
    from pathlib import Path


def run_client(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "skymap_scanner.client", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_help_names_every_option_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from skymap_scanner.client.client import parser; parser().print_help(); "
        "sys.exit(any(name in sys.modules for name in ('numpy', 'numba', 'astropy', 'scipy')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    for option in ("--client-startup-json", "--debug-directory", "--workers", "--debug"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--client-startup-json"),
        (["--client-startup-json", "x", "--workers", "-1"], "at least 0"),
        (["--client-startup-json", "x", "--workers", "two"], "at least 0"),
        (["--client-startup-json", "x", "--what"], "--what"),
    ],
)
def test_bad_usage_is_exit_2_and_one_line(arguments: list[str], words: str) -> None:
    done = run_client(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_malformed_variable_is_exit_2_and_named() -> None:
    done = run_client("--client-startup-json", "x", SKYSCAN_MAX_ATTEMPTS="many")
    assert done.returncode == 2
    assert "SKYSCAN_MAX_ATTEMPTS" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_startup_json_is_exit_2_and_named(tmp_path: Path) -> None:
    path = tmp_path / "startup.json"
    done = run_client(
        "--client-startup-json", str(path), SKYSCAN_CLIENT_WAIT_FOR_STARTUP_JSON="0.1"
    )
    assert done.returncode == 2
    assert str(path) in done.stderr.splitlines()[-1]


def test_debug_shows_the_traceback_and_the_line_comes_last(tmp_path: Path) -> None:
    path = tmp_path / "startup.json"
    path.write_text("[]")
    done = run_client("--client-startup-json", str(path), "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "error: " in done.stderr.splitlines()[-1]


def test_a_broker_without_a_driver_is_exit_2_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "startup.json"
    StartupFile(
        scan_id="s", gcdqp_packet={}, reco_name="dummy", broker=BrokerPlace("rabbitmq")
    ).write(path)
    done = run_client("--client-startup-json", str(path))
    assert done.returncode == 2
    assert "rabbitmq driver comes with a later release" in done.stderr


def test_a_debug_directory_that_cannot_be_made_is_exit_2(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "debug"
    done = run_client("--client-startup-json", "x", "--debug-directory", str(folder))
    assert done.returncode == 2
    assert str(folder) in done.stderr


def test_children_get_no_token_and_one_thread() -> None:
    environment = child_environment(
        {
            "PATH": "/bin",
            "SKYSCAN_BROKER_AUTH": "secret",
            "SKYSCAN_SKYDRIVER_AUTH": "secret",
            "SKYSCAN_MINI_TEST": "true",
            "NUMBA_NUM_THREADS": "8",
        }
    )
    assert "secret" not in environment.values()
    assert environment["SKYSCAN_MINI_TEST"] == "true"
    assert environment["NUMBA_NUM_THREADS"] == environment["OMP_NUM_THREADS"] == "1"


def test_levels_of_ours_and_of_the_libraries_are_apart() -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    stream = io.StringIO()
    try:
        configure_logging("INFO", "ERROR", stream=io.StringIO())
        configure_logging("INFO", "ERROR", levels={"skymap_scanner.broker": "DEBUG"}, stream=stream)
        logging.getLogger("skymap_scanner.scan").debug("hidden")
        logging.getLogger("skymap_scanner.scan").info("shown once")
        logging.getLogger("skymap_scanner.broker.x").debug("shown too")
        logging.getLogger("library").warning("hidden")
        logging.getLogger("library").error("library in need")
    finally:
        root.handlers[:] = before[1]
        root.setLevel(before[0])
        for name in ("skymap_scanner", "skymap_scanner.broker"):
            logging.getLogger(name).setLevel(logging.NOTSET)
    lines = stream.getvalue().splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        "shown once",
        "shown too",
        "library in need",
    ]
