"""Find the baseline GCD file that a realtime message was made against, on disk or on the web."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import quote, urlsplit

from skymap_scanner.exceptions import EventError, OutputError
from skymap_scanner.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

__all__ = ["STANDARD_PLACES", "check_gcd_dir", "find_baseline", "is_address"]

logger = logging.getLogger(__name__)

#: Where images and CVMFS keep baseline GCD files, in the order in which they are tried.
STANDARD_PLACES: Final = (
    "/opt/i3-data/baseline_gcds",
    "/cvmfs/icecube.opensciencegrid.org/users/RealTime/GCD/PoleBaseGCDs",
)
_SUFFIXES: Final = (".i3", ".i3.gz", ".i3.bz2", ".i3.zst")
#: First bytes of an .i3 file: plain, gzip, bzip2, zstd.
_MAGIC: Final = (b"[i3]", b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd")
#: Names come from messages, that is from outside: no folders, nothing hidden.
_LEGAL_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}")
#: Silence after which a web server is given up [s].
_TIMEOUT_S: Final = 60.0


def find_baseline(
    name: str, *, gcd_dir: str | Path | None = None, cache_dir: Path | None = None
) -> Path | None:
    """Return the path of a baseline GCD file, fetched first when it is on the web.

    Parameters
    ----------
    name : str
        File name as the message has it; compressed files of this name count too.
    gcd_dir : str or Path, optional
        A folder or an http(s) address of one; without it the `STANDARD_PLACES`.
    cache_dir : Path, optional
        Where fetched files are kept, whole or not at all; by default the user's cache folder.

    Returns
    -------
    Path or None
        None when the place does not have the file.

    Raises
    ------
    EventError
        When `name` is no file name, `gcd_dir` is no folder or the web server does not answer.
    """
    if not _LEGAL_NAME.fullmatch(name):
        raise EventError(
            "the event names an illegal baseline GCD file", found=repr(name), wanted="a file name"
        )
    if gcd_dir is None:
        places = [Path(place) for place in STANDARD_PLACES]
    elif is_address(gcd_dir):
        return _staged(str(gcd_dir).rstrip("/"), name, cache_dir or _user_cache())
    else:
        places = [Path(gcd_dir)]
        check_gcd_dir(gcd_dir)
    for place in places:
        for candidate in _candidates(name):
            if (place / candidate).is_file():
                return place / candidate
    return None


def is_address(gcd_dir: str | Path) -> bool:
    """Tell whether `gcd_dir` is an address on the web and not a folder."""
    return str(gcd_dir).lower().startswith(("http://", "https://"))


def check_gcd_dir(gcd_dir: str | Path) -> None:
    """Refuse a `gcd_dir` that is neither a folder nor an address.

    Raises
    ------
    EventError
        When there is no such folder.
    """
    if not is_address(gcd_dir) and not Path(gcd_dir).is_dir():
        raise EventError(
            "no such folder",
            place=str(gcd_dir),
            wanted="a folder or http(s) address with baseline GCD files",
        )


def _candidates(name: str) -> Iterator[str]:
    """Names under which the file may be stored: as it is, and with other compression."""
    stem = re.sub(r"\.i3(\.\w+)?$", "", name)
    yield from dict.fromkeys([name, *(stem + suffix for suffix in _SUFFIXES)])


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skymap-scanner"


def _staged(address: str, name: str, cache_dir: Path) -> Path | None:
    """Return the file from the cache, after fetching it when it is not there yet."""
    # Two servers may keep different files under one name.
    folder = cache_dir / "gcd" / hashlib.sha256(address.encode()).hexdigest()[:16]
    for candidate in _candidates(name):
        if (folder / candidate).is_file():
            return folder / candidate
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made: {error.strerror}; choose another cache directory"
        ) from error
    for candidate in _candidates(name):
        if _fetch(f"{address}/{quote(candidate)}", folder / candidate):
            return folder / candidate
    return None


def _fetch(address: str, path: Path) -> bool:
    """Fetch one file, whole or not at all; False when the server does not have it."""
    import httpx

    shown = _without_password(address)
    try:
        with httpx.stream("GET", address, follow_redirects=True, timeout=_TIMEOUT_S) as response:
            if response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
                return False
            if response.status_code != httpx.codes.OK:
                raise EventError(
                    "the baseline GCD file cannot be fetched",
                    place=shown,
                    found=f"HTTP status {response.status_code}",
                    wanted="200",
                )
            logger.info("fetching %s", shown)
            write_atomically(path, lambda file: _copy(response, file, shown))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise EventError(
            "the baseline GCD file cannot be fetched",
            place=shown,
            found=str(error) or type(error).__name__,
            wanted="a web server that answers",
        ) from error
    return True


def _without_password(address: str) -> str:
    """Return an address as it may be shown: user and password left out, and what follows a ``?``.

    Examples
    --------
    >>> _without_password("http://me:secret@example.org:8080/gcd/file.i3")
    'http://example.org:8080/gcd/file.i3'
    """
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _copy(response: httpx.Response, file: BinaryIO, shown: str) -> None:
    """Write the body, unless it is not an .i3 file at all (a log-in page, say)."""
    head = b""
    for chunk in response.iter_bytes():
        if len(head) < len(_MAGIC[0]):
            head += chunk[: len(_MAGIC[0])]
        file.write(chunk)
    if not head.startswith(_MAGIC):
        raise EventError(
            "the web server sent something else",
            place=shown,
            found=repr(head),
            wanted="an .i3 file",
        )
