from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from skymap_scanner import config
from skymap_scanner.exceptions import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_defaults_are_those_that_users_know() -> None:
    settings = config.read_environment({})
    assert settings == config.Settings()
    assert settings.SKYSCAN_BROKER_CLIENT == "rabbitmq"
    assert settings.SKYSCAN_MQ_TIMEOUT_TO_CLIENTS == 1800
    assert settings.SKYSCAN_MQ_TIMEOUT_FROM_CLIENTS == 259200
    assert settings.SKYSCAN_MQ_CLIENT_TIMEOUT_WAIT_FOR_FIRST_MESSAGE == 3600
    assert settings.EWMS_PILOT_TASK_TIMEOUT == 1800
    assert settings.EWMS_PILOT_STOP_LISTENING_ON_TASK_ERROR is False
    assert (settings.SKYSCAN_PROGRESS_INTERVAL_SEC, settings.SKYSCAN_RESULT_INTERVAL_SEC) == (
        60,
        120,
    )
    assert (settings.SKYSCAN_MAX_ATTEMPTS, settings.SKYSCAN_MAX_FAILED_PIXELS) == (3, 0.05)


def test_each_default_is_a_legal_value_of_its_own_variable() -> None:
    texts = {variable.name: str(variable.default) for variable in config.environment_variables()}
    assert config.read_environment(texts) == config.Settings()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SKYSCAN_BROKER_CLIENT", "carrier-pigeon"),
        ("SKYSCAN_BROKER_CLIENT", ""),
        ("SKYSCAN_MQ_TIMEOUT_TO_CLIENTS", "soon"),
        ("SKYSCAN_MQ_TIMEOUT_TO_CLIENTS", "0"),
        ("SKYSCAN_MQ_TIMEOUT_TO_CLIENTS", "nan"),
        ("SKYSCAN_MQ_TIMEOUT_TO_CLIENTS", " "),
        ("SKYSCAN_PROGRESS_INTERVAL_SEC", "-1"),
        ("SKYSCAN_RESULT_INTERVAL_SEC", "inf"),
        ("SKYSCAN_MAX_ATTEMPTS", "2.5"),
        ("SKYSCAN_MAX_ATTEMPTS", "0"),
        ("SKYSCAN_MAX_FAILED_PIXELS", "1.01"),
        ("SKYSCAN_MINI_TEST", "perhaps"),
        ("SKYSCAN_LOG", "LOUD"),
    ],
)
def test_malformed_value_names_variable_value_and_what_is_legal(name: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        config.read_environment({name: text})
    assert str(caught.value).startswith(f"{name}: ")
    assert repr(text) in str(caught.value)
    assert "wanted" in str(caught.value)
    assert caught.value.exit_code == 2


def test_values_are_typed_and_forgiving_about_case() -> None:
    settings = config.read_environment(
        {
            "SKYSCAN_LOG": "debug",
            "SKYSCAN_MINI_TEST": "YES",
            "SKYSCAN_BROKER_CLIENT": "Embedded",
            "EWMS_PILOT_QUARANTINE_TIME": "0",
            "EWMS_PILOT_PREFETCH": "7",
            "SKYSCAN_BROKER_ADDRESS": "",
        }
    )
    assert settings.SKYSCAN_LOG == "DEBUG"
    assert settings.SKYSCAN_MINI_TEST is True
    assert settings.SKYSCAN_BROKER_CLIENT == "embedded"
    assert settings.EWMS_PILOT_PREFETCH == 7
    assert settings.SKYSCAN_BROKER_ADDRESS == ""


def test_environment_is_read_at_the_first_attribute_and_never_at_import() -> None:
    program = (
        "from skymap_scanner.config import ENV\n"
        "import os\n"
        "os.environ['SKYSCAN_MAX_ATTEMPTS'] = '9'\n"
        "print(ENV.SKYSCAN_MAX_ATTEMPTS)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"SKYSCAN_MAX_ATTEMPTS": "nonsense"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "9"


def test_env_has_no_other_attributes() -> None:
    with pytest.raises(AttributeError, match="SKYSCAN_TYPO"):
        _ = config.ENV.SKYSCAN_TYPO  # type: ignore[attr-defined]  # it is what we test


def test_secrets_are_marked() -> None:
    secret = {v.name for v in config.environment_variables() if v.is_secret}
    assert secret == {"SKYSCAN_BROKER_AUTH", "SKYSCAN_SKYDRIVER_AUTH"}


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.Settings().SKYSCAN_LOG = "DEBUG"  # type: ignore[misc]  # it is what we test


@pytest.mark.parametrize(
    ("version", "pulses", "track"),
    [
        ("", "SplitUncleanedInIcePulses", "OnlineL2_SplineMPE"),
        ("2018a", "SplitUncleanedInIcePulses", "OnlineL2_SplineMPE"),
        ("2021a", "SplitUncleanedInIcePulses", "OnlineL2_SplineMPE"),
        ("2023a", "SplitInIcePulses", "l2_online_SplineMPE"),
        ("2024a", "SplitInIcePulses", "l2_online_SplineMPE"),
    ],
)
def test_frame_keys_follow_the_realtime_version(version: str, pulses: str, track: str) -> None:
    keys = config.frame_keys(version)
    assert (keys.pulses, keys.online_track) == (pulses, track)


def test_documentation_shows_every_variable_with_its_default(root: Path) -> None:
    page = (root / "docs/reference/environment.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    for variable in config.environment_variables():
        default = rows[variable.name].split("|")[2].strip().strip("`")
        assert default == f"{_as_documented(variable.default)} {variable.unit}".strip()


def _as_documented(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value) if value != "" else "empty"
