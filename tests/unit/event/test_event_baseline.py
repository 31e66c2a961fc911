"""Baseline GCD files from a web server: whole in the cache or not at all."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from skymap_scanner.event import baseline
from skymap_scanner.event.baseline import find_baseline
from skymap_scanner.exceptions import EventError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "baseline_gcd_135417.i3"
CONTENT = b"[i3]" + bytes(range(256)) * 1000


class _Handler(BaseHTTPRequestHandler):
    """Serves by folder: good, short (breaks off), page (a log-in page), broken (500)."""

    requests: list[str] = []  # noqa: RUF012 -- shared on purpose, reset by the fixture

    def do_GET(self) -> None:
        self.requests.append(self.path)
        _, folder, name = self.path.split("/")
        if folder == "broken":
            self.send_error(500)
        elif (folder == "compressed" and name != f"{NAME}.gz") or folder == "empty":
            self.send_error(404)
        else:
            body = b"<html>please log in</html>" if folder == "page" else CONTENT
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if folder == "short" else body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    _Handler.requests.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_is_fetched_once(server: str, tmp_path: Path) -> None:
    first = find_baseline(NAME, gcd_dir=f"{server}/good/", cache_dir=tmp_path)
    assert first is not None
    assert first.read_bytes() == CONTENT
    assert find_baseline(NAME, gcd_dir=f"{server}/good", cache_dir=tmp_path) == first
    assert _Handler.requests == [f"/good/{NAME}"]
    assert _files(tmp_path) == [NAME]


def test_two_servers_do_not_share_their_files(server: str, tmp_path: Path) -> None:
    paths = {
        find_baseline(NAME, gcd_dir=f"{server}/{folder}", cache_dir=tmp_path)
        for folder in ("good", "other")
    }
    assert len(paths) == 2


def test_a_compressed_file_is_found(server: str, tmp_path: Path) -> None:
    path = find_baseline(NAME, gcd_dir=f"{server}/compressed", cache_dir=tmp_path)
    assert path is not None
    assert path.name == f"{NAME}.gz"


def test_a_server_without_the_file_has_none(server: str, tmp_path: Path) -> None:
    assert find_baseline(NAME, gcd_dir=f"{server}/empty", cache_dir=tmp_path) is None
    assert _files(tmp_path) == []


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("short", "cannot be fetched"),
        ("page", r"something else.*wanted an \.i3 file"),
        ("broken", "found HTTP status 500"),
    ],
)
def test_half_a_file_is_never_kept(server: str, tmp_path: Path, folder: str, message: str) -> None:
    with pytest.raises(EventError, match=message) as caught:
        find_baseline(NAME, gcd_dir=f"{server}/{folder}", cache_dir=tmp_path)
    assert f"{server}/{folder}/{NAME}" in str(caught.value)
    assert _files(tmp_path) == []


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(EventError, match="cannot be fetched") as caught:
        find_baseline(NAME, gcd_dir="http://me:secret@127.0.0.1:9/gcd", cache_dir=tmp_path)
    assert f"http://127.0.0.1:9/gcd/{NAME}" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_cache_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OutputError, match="cache"):
        find_baseline(NAME, gcd_dir="http://127.0.0.1:9", cache_dir=tmp_path / "cache")


def test_standard_places_are_tried_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [tmp_path / "first", tmp_path / "second"]
    monkeypatch.setattr(baseline, "STANDARD_PLACES", tuple(map(str, places)))
    assert find_baseline(NAME) is None
    for place in reversed(places):
        place.mkdir()
        (place / NAME).touch()
        assert find_baseline(NAME) == place / NAME
