from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from skymap_scanner import __version__, cli
from skymap_scanner.cli.registry import SUBCOMMANDS, load
from skymap_scanner.i3 import Frame, I3String, write_i3
from skymap_scanner.result.schema import explain_mismatch
from skymap_scanner.server.arguments import server_parser

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> int:
    try:
        return cli.main(list(arguments))
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.mark.parametrize("command", SUBCOMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: skymap-scanner {command}")
    assert "--debug" in said or command in ("event", "light", "simulate")


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    said = capsys.readouterr().out
    for name, command in SUBCOMMANDS.items():
        assert name in said
        assert command.summary in said


def test_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"skymap-scanner {__version__}\n"


def test_unknown_command_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("scn") == 2
    said = capsys.readouterr().err
    assert said.startswith("skymap-scanner: error: there is no command 'scn' (wanted one of scan, ")


def test_no_command_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    assert capsys.readouterr().err.startswith("skymap-scanner: error: ")


@pytest.mark.parametrize("module", ["skymap_scanner.cli", "skymap_scanner.server"])
def test_help_loads_nothing_heavy(module: str) -> None:
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['x', *{['scan', '--help'] if module.endswith('cli') else ['--help']}]\n"
        "try:\n"
        f"    runpy.run_module('{module}', run_name='__main__')\n"
        "except SystemExit as ended:\n"
        "    assert not ended.code, ended\n"
        "heavy = {'numpy', 'numba', 'scipy', 'astropy', 'matplotlib', 'asyncio', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"


def actions_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The actions of a parser and, where it has sub-commands, of theirs."""
    found: list[argparse.Action] = []
    for action in parser._actions:
        found.append(action)
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                found += actions_of(inner)
    return found


def options_of(parser: argparse.ArgumentParser) -> list[str]:
    names = [name for action in actions_of(parser) for name in action.option_strings]
    return [name for name in names if name.startswith("--")]


def test_documentation_shows_every_command_and_option(root: Path) -> None:
    page = (root / "docs" / "reference" / "command-line.md").read_text("utf-8")
    for name in SUBCOMMANDS:
        assert f"`skymap-scanner {name}" in page
        for option in options_of(load(name).parser()):
            assert f"`{option}" in page, f"{name} {option}"
    for option in options_of(server_parser()):
        assert f"`{option}" in page, f"server {option}"


def test_every_option_s_help_states_its_default() -> None:
    for parser in [server_parser(), *(load(name).parser() for name in SUBCOMMANDS)]:
        for action in actions_of(parser):
            if action.option_strings and action.option_strings != ["-h", "--help"]:
                words = ("default", "required")
                assert any(word in (action.help or "") for word in words), action.option_strings


def test_env_shows_values_defaults_and_advice(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYSCAN_MAX_ATTEMPTS", "7")
    monkeypatch.setenv("SKYSCAN_BROKER_AUTH", "very-secret")
    assert run("env") == 0
    said = capsys.readouterr().out
    assert "SKYSCAN_MAX_ATTEMPTS = 7\n" in said
    assert "SKYSCAN_MQ_TIMEOUT_FROM_CLIENTS = 259200 s\n" in said
    assert "very-secret" not in said
    assert "How to choose the three timeouts" in said


def test_env_as_json_follows_its_schema(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYSCAN_MAX_ATTEMPTS", "7")
    assert run("env", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert explain_mismatch("env", document) is None
    rows = {row["name"]: row for row in document["variables"]}
    assert (rows["SKYSCAN_MAX_ATTEMPTS"]["value"], rows["SKYSCAN_MAX_ATTEMPTS"]["is_set"]) == (
        7,
        True,
    )
    assert rows["SKYSCAN_LOG"]["is_set"] is False


def test_malformed_environment_is_bad_usage(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYSCAN_RESULT_INTERVAL_SEC", "")
    assert run("env") == 2
    assert capsys.readouterr().err.startswith(
        "skymap-scanner: error: SKYSCAN_RESULT_INTERVAL_SEC: "
    )


def test_recos_lists_names_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recos") == 0
    said = capsys.readouterr().out
    for words in ("splinempe\n", "crash_dummy\n", "--reco-option variations=", "sleep_min_s=1.0 s"):
        assert words in said


def test_recos_as_json_follows_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recos", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert explain_mismatch("recos", document) is None
    names = [reco["name"] for reco in document["recos"]]
    assert {"dummy", "crash_dummy", "splinempe", "splinempe_pointed"} <= set(names)


def test_a_plugin_that_cannot_be_loaded_does_not_hide_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from skymap_scanner.exceptions import PluginError
    from skymap_scanner.recos import registry

    def broken(name: str) -> object:
        if name == "dummy":
            raise PluginError("no module called so")
        return real(name)

    real = registry.get_reco_class
    monkeypatch.setattr(registry, "get_reco_class", broken)
    assert run("recos") == 0
    said = capsys.readouterr().out
    assert "cannot be used: no module called so" in said
    assert "splinempe\n" in said


def test_info_shows_frames_header_pulses_and_fits(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("info", str(root / "examples" / "simulated_track.json")) == 0
    said = capsys.readouterr().out
    for words in (
        "frame Q", "I3SuperDST", "run00000001.evt000000000001.neutrino (simulated",
        "pulses in", "SplitInIcePulses", "IceCube-86 built-in", "l2_online_BestFit: zenith",
    ):  # fmt: skip
        assert words in said


def test_info_as_json_follows_its_schema(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", str(root / "examples" / "simulated_track.json"), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert explain_mismatch("info", document) is None
    assert (document["run_id"], document["event_type"]) == (1, "neutrino")


@pytest.mark.shared
def test_info_of_a_real_event(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = shared / "events" / "IC220524A_run136662_evt35405932.pkl"
    assert run("info", str(path), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert explain_mismatch("info", document) is None
    assert (document["n_doms"], document["n_pulses"]) == (176, 763)
    assert document["charge_pe"] == pytest.approx(1418.425, abs=1e-3)
    assert (document["cleaned"]["n_doms"], document["cleaned"]["n_pulses"]) == (133, 668)
    fit = document["fits"]["OnlineL2_SplineMPE"]
    assert (fit["ra_deg"], fit["dec_deg"]) == pytest.approx((48.84973, -3.52233), abs=0.001)


def test_info_shows_the_frames_of_a_file_without_an_event(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = Frame("G")
    frame.put("Text", I3String("x"))
    write_i3(tmp_path / "gcd.i3", [frame, Frame("D")])
    assert run("info", str(tmp_path / "gcd.i3")) == 0
    said = capsys.readouterr().out
    assert "Text I3PODHolder<string>" in said
    assert "frame D (empty)" in said
    assert "no event: the file has no physics frame" in said
    assert run("info", str(tmp_path / "gcd.i3"), "--json") == 2
    assert capsys.readouterr().out == ""


def test_info_shows_the_frames_of_an_event_that_cannot_be_scanned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [Frame(stop) for stop in "QP"]
    frames[1].put("Evil\x1b[31m", I3String("x"))
    write_i3(tmp_path / "event.i3", frames)
    assert run("info", str(tmp_path / "event.i3")) == 2
    said = capsys.readouterr()
    assert "Evil\\x1b[31m" in said.out
    assert said.err.count("\n") == 1
    assert "no event with in-ice pulses" in said.err
