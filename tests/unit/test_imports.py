"""The import rules of docs/architecture.md, walked over the source: they point one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = "skymap_scanner"
BASE = {
    "exceptions", "units", "config", "pixels", "pixel_tables", "files", "logs", "compiled",
    "allocator",
}  # fmt: skip

# Package -> what it may import; every package may import the base and itself.
ALLOWED: dict[str, set[str]] = {
    "i3": set(),
    "event": {"i3"},
    "light": set(),
    "simulation": {"event", "light", "i3"},
    "recos": {"event", "light"},
    "sky": set(),
    "scan": {"sky"},
    "broker": set(),
    "result": {"sky"},
    "calibration": {"i3", "event", "light", "simulation", "recos", "sky", "scan", "result"},
    "client": {"i3", "event", "light", "simulation", "recos", "sky", "scan", "broker", "result"},
    "server": {
        "i3", "event", "light", "simulation", "recos", "sky", "scan", "broker", "result", "client",
    },
    "plot": {"result", "event", "light"},
    "utils": {"result"},
}  # fmt: skip
EVERYTHING = set(ALLOWED) | {"cli"}
HEAVY = {"numba", "matplotlib", "scipy", "astropy", "aio_pika", "pulsar", "nats", "httpx"}


def _modules(root: Path) -> list[Path]:
    return sorted((root / "src" / PACKAGE).rglob("*.py"))


def _room(root: Path, path: Path) -> str:
    parts = path.relative_to(root / "src" / PACKAGE).with_suffix("").parts
    return parts[0]


def _imported_rooms(root: Path, path: Path) -> set[str]:
    rooms: set[str] = set()
    relative = path.relative_to(root / "src").with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                anchor = relative[: len(relative) - node.level]
                names = [".".join([*anchor, node.module or ""]).rstrip(".")]
            else:
                names = [node.module or ""]
                if node.module == PACKAGE:
                    names = [f"{PACKAGE}.{alias.name}" for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith(f"{PACKAGE}.")}
    return rooms - {"__version__"}


def test_every_room_is_in_the_table(root: Path) -> None:
    rooms = {_room(root, path) for path in _modules(root)}
    assert rooms - {"__init__"} <= EVERYTHING | BASE


def test_imports_point_one_way(root: Path) -> None:
    wrong = []
    for path in _modules(root):
        room = _room(root, path)
        allowed = EVERYTHING if room == "cli" else ALLOWED.get(room, set()) | {room}
        if room in BASE | {"__init__"}:
            allowed = set()
        wrong += [
            f"{path.relative_to(root)} imports {other}"
            for other in sorted(_imported_rooms(root, path) - allowed - BASE)
        ]
    assert wrong == []


def test_the_table_has_no_cycle() -> None:
    done: set[str] = set()
    while len(done) < len(ALLOWED):
        ready = {room for room, needs in ALLOWED.items() if room not in done and needs <= done}
        assert ready, f"cycle among {set(ALLOWED) - done}"
        done |= ready


@pytest.mark.parametrize(
    "statement",
    [
        "import skymap_scanner",
        "import skymap_scanner.cli",
        "import skymap_scanner.recos",
        "import skymap_scanner.config",
    ],
)
def test_import_loads_nothing_heavy(statement: str) -> None:
    code = f"{statement}; import sys; print(*sorted(set(sys.modules) & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
