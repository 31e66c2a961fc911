from __future__ import annotations

from pathlib import Path

import pytest

from skymap_scanner.exceptions import UsageError
from skymap_scanner.server.arguments import ScanRequest, parse_request, server_parser

FIVE = [
    "--client-startup-json", "startup.json", "--cache-dir", "work", "--output-dir", "work",
    "--reco-algo", "splinempe", "--event-file", "event.json",
]  # fmt: skip


def request_of(*more: str, skydriver: str = "") -> ScanRequest:
    return parse_request(server_parser().parse_args([*FIVE, *more]), skydriver_address=skydriver)


def test_classic_five_option_call_has_the_classic_defaults() -> None:
    request = request_of()
    assert request == ScanRequest(
        event_file=Path("event.json"),
        cache_dir=Path("work"),
        output_dir=Path("work"),
        client_startup_json=Path("startup.json"),
        reco_algo="splinempe",
    )
    assert request.nsides == ("8:0", "64:12", "512:24")
    assert request.threshold == 1.0
    assert request.is_real is None


def test_short_options_mean_the_same() -> None:
    short = ["--client-startup-json", "startup.json", "-c", "work", "-o", "work"]
    short += ["--reco-algo", "splinempe", "-e", "event.json", "-g", "gcd"]
    request = parse_request(server_parser().parse_args(short), skydriver_address="")
    assert request == request_of("--gcd-dir", "gcd")


def test_every_option_arrives() -> None:
    request = request_of(
        "--nsides", "4:0", "16:6", "--real-event", "--event", "1:2:3",
        "--reco-option", "variations=point", "--reco-option", "noise_rate_hz=500",
        "--predictive-scanning-threshold", "0.5",
    )  # fmt: skip
    assert request.nsides == ("4:0", "16:6")
    assert request.is_real is True
    assert request.which == "1:2:3"
    assert request.reco_options == {"variations": "point", "noise_rate_hz": "500"}
    assert request.threshold == 0.5
    assert request_of("--simulated-event").is_real is False


@pytest.mark.parametrize(
    "options",
    [
        ["--real-event", "--simulated-event"],
        ["--nsides"],
        ["--predictive-scanning-threshold", "half"],
        ["--no-such-option"],
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        request_of(*options)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("skymap-scanner: error: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("threshold", ["0.1", "1.0", "0.55"])
def test_both_ends_of_the_threshold_are_legal(threshold: str) -> None:
    assert request_of("--predictive-scanning-threshold", threshold).threshold == float(threshold)


@pytest.mark.parametrize("threshold", ["0.09", "1.01", "0", "-1", "nan", "inf"])
def test_illegal_threshold_is_refused(threshold: str) -> None:
    with pytest.raises(UsageError, match=r"wanted 0\.1 to 1\.0"):
        request_of("--predictive-scanning-threshold", threshold)


@pytest.mark.parametrize("option", ["variations", "=point", ""])
def test_reco_option_must_be_an_assignment(option: str) -> None:
    with pytest.raises(UsageError, match="--reco-option"):
        request_of("--reco-option", option)


@pytest.mark.parametrize("missing", ["--output-dir", "--event-file"])
def test_output_and_event_are_required_without_skydriver(missing: str) -> None:
    where = FIVE.index(missing)
    arguments = server_parser().parse_args(FIVE[:where] + FIVE[where + 2 :])
    with pytest.raises(UsageError, match=missing) as caught:
        parse_request(arguments, skydriver_address="")
    if missing == "--output-dir":
        assert "you won't see your results!" in str(caught.value)


def test_skydriver_is_refused_with_a_sentence() -> None:
    with pytest.raises(UsageError, match="later release"):
        request_of(skydriver="https://skydriver.example")
