from __future__ import annotations

import subprocess
import sys

import pytest

from skymap_scanner import exceptions
from skymap_scanner.server.exits import run_program


def raising(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            exceptions.UsageError("bad", place="--here", found=1, wanted=2),
            2,
            "--here: bad (found 1",
        ),
        (exceptions.NoWorkersError("nobody"), 10, "nobody"),
        (exceptions.WorkersGoneError("gone"), 11, "gone"),
        (exceptions.TooManyFailuresError("many"), 12, "many"),
        (exceptions.BrokerError("far"), 13, "far"),
        (exceptions.OutputError("full"), 1, "full"),
        (exceptions.ScanStoppedError("enough"), 130, "enough"),
        (KeyboardInterrupt(), 130, "Ctrl-C"),
        (ZeroDivisionError("oops"), 1, "unexpected ZeroDivisionError: oops; --debug"),
    ],
)
def test_each_error_is_one_line_with_its_exit_code(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_program(lambda: raising(error)) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("skymap-scanner: error: ")
    assert said.err.count("\n") == 1
    assert words in said.err


def test_a_message_of_several_lines_becomes_one(capsys: pytest.CaptureFixture[str]) -> None:
    run_program(lambda: raising(exceptions.UsageError("one\ntwo")))
    assert capsys.readouterr().err == "skymap-scanner: error: one two\n"


def test_debug_shows_the_traceback_before_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program(lambda: raising(exceptions.UsageError("bad")), debug=True) == 2
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.endswith("skymap-scanner: error: bad\n")


def test_the_work_s_own_exit_code_is_kept() -> None:
    assert run_program(lambda: 3) == 3


def test_a_reader_that_leaves_early_is_no_error() -> None:
    program = (
        "import sys\n"
        "from skymap_scanner.server.exits import run_program\n"
        "def work():\n"
        "    for number in range(100000): print(number)\n"
        "    return 0\n"
        "sys.exit(run_program(work))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert said == b""
