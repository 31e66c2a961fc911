"""The startup JSON: all that a client must know, written by the server, without any secret."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from skymap_scanner.exceptions import FormatError, InputError, SkymapScannerError, UsageError
from skymap_scanner.files import open_regular, write_bytes_atomically
from skymap_scanner.scan.message_types import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "STARTUP_SCHEMA",
    "BrokerPlace",
    "StartupFile",
    "end_topic",
    "is_over",
    "mark_as_over",
    "may_be_replaced",
    "queue_from_clients",
    "queue_to_clients",
    "wait_for_startup_file",
]

logger = logging.getLogger(__name__)

#: Changes whenever a key is added, removed or means something else.
STARTUP_SCHEMA: Final = 1
#: Events of the largest showers are some 10 MB; anything far beyond is not ours [bytes].
_MAX_BYTES: Final = 1 << 30
_POLL_S: Final = 0.2


def queue_to_clients(scan_id: str) -> str:
    """Return the name of the queue of tasks."""
    return f"to-clients-{scan_id}"


def queue_from_clients(scan_id: str) -> str:
    """Return the name of the queue of results and signs of life."""
    return f"from-clients-{scan_id}"


def end_topic(scan_id: str) -> str:
    """Return the topic on which the end of the scan is broadcast."""
    return f"end-{scan_id}"


@dataclass(frozen=True, slots=True)
class BrokerPlace:
    """What a client must know to find the broker; no secret is in it.

    Attributes
    ----------
    kind : str
        See `skymap_scanner.broker.make_broker`.
    address : str
        Empty where clients take it from their environment.
    token_file : Path or None
        Embedded broker: the file with the token.
    """

    kind: str
    address: str = ""
    token_file: Path | None = None


@dataclass(frozen=True, slots=True)
class StartupFile:
    """Content of a startup JSON.

    Attributes
    ----------
    scan_id : str
        Which scan this is; every message carries it.
    mq_basename : str
        As the classic scanner names its queues; ours follow from `scan_id`.
    baseline_gcd_file : str or None
        The baseline GCD file that the server used.
    gcdqp_packet : mapping
        The event's frames, see `skymap_scanner.i3.packet_from_json`.
    broker : BrokerPlace
        Where the queues are.
    reco_name, reco_options : str, mapping
        The reconstruction and its settings as the user wrote them.
    event_version, event_type, is_real : str, str, bool or None
        What the frames do not tell.
    is_over : bool
        Whether the scan has ended: there is nothing to do.
    """

    scan_id: str
    gcdqp_packet: Mapping[str, Any]
    reco_name: str
    mq_basename: str = ""
    baseline_gcd_file: str | None = None
    broker: BrokerPlace = field(default_factory=lambda: BrokerPlace("rabbitmq"))
    reco_options: Mapping[str, str] = field(default_factory=dict)
    event_version: str = ""
    event_type: str = "None"
    is_real: bool | None = None
    is_over: bool = False

    def to_json(self) -> str:
        """Return the content of the file; paths become absolute."""
        token_file = self.broker.token_file
        document = {
            "schema": STARTUP_SCHEMA,
            "scan_id": self.scan_id,
            "mq_basename": self.mq_basename or self.scan_id,
            "baseline_GCD_file": self.baseline_gcd_file,
            "GCDQp_packet": dict(self.gcdqp_packet),
            "broker": {
                "kind": self.broker.kind,
                "address": self.broker.address,
                "token_file": None if token_file is None else str(token_file.absolute()),
            },
            "reco": {"name": self.reco_name, "options": dict(self.reco_options)},
            "event": {
                "version": self.event_version,
                "event_type": self.event_type,
                "is_real": self.is_real,
            },
            "messages": SCHEMA_VERSION,
            "is_over": self.is_over,
        }
        return json.dumps(document, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> StartupFile:
        """Read the content of a startup JSON; keys that we do not know are left aside.

        Raises
        ------
        FormatError
            When it is none, or one of another schema.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FormatError("not JSON", found=str(error)[:200]) from error
        top = _Member("", document)
        schema = top["schema"].value
        if type(schema) is not int or schema != STARTUP_SCHEMA:
            raise FormatError(
                "startup JSON of another release; server and client must be the same",
                place="schema",
                found=repr(schema)[:40],
                wanted=STARTUP_SCHEMA,
            )
        messages = top["messages"].value
        if messages != SCHEMA_VERSION:
            raise FormatError(
                "the server speaks another language; server and client must be the same release",
                place="messages",
                found=f"schema {messages!r}"[:40],
                wanted=f"schema {SCHEMA_VERSION}",
            )
        broker, reco, event = top["broker"], top["reco"], top["event"]
        options = reco["options"]
        token_file = broker["token_file"].optional(str)
        return cls(
            scan_id=top["scan_id"].get(str),
            mq_basename=top["mq_basename"].get(str),
            baseline_gcd_file=top["baseline_GCD_file"].optional(str),
            gcdqp_packet=top["GCDQp_packet"].get(dict),
            broker=BrokerPlace(
                kind=broker["kind"].get(str),
                address=broker["address"].get(str),
                token_file=None if token_file is None else Path(token_file),
            ),
            reco_name=reco["name"].get(str),
            reco_options={name: options[name].get(str) for name in options.get(dict)},
            event_version=event["version"].get(str),
            event_type=event["event_type"].get(str),
            is_real=event["is_real"].optional(bool),
            is_over=top["is_over"].get(bool),
        )

    def write(self, path: Path) -> None:
        """Write the file atomically.

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        write_bytes_atomically(path, self.to_json().encode())

    @classmethod
    def read(cls, path: Path) -> StartupFile:
        """Read a file.

        Raises
        ------
        UsageError, FormatError
            When it cannot be read or is not a startup JSON of this release.
        """
        data = _read_bytes(path)
        try:
            return cls.from_json(data)
        except InputError as error:
            raise error.at(str(path)) from error


@dataclass(frozen=True, slots=True)
class _Member:
    """A value of a JSON document that knows where it is."""

    place: str
    value: Any

    def __getitem__(self, key: str) -> _Member:
        members = self.get(dict)
        place = f"{self.place}.{key}" if self.place else key
        if key not in members:
            raise FormatError("a key is missing", place=place, wanted="a startup JSON")
        return _Member(place, members[key])

    def get(self, kind: type) -> Any:
        """Return the value when it is of one kind."""
        if type(self.value) is not kind:
            found, wanted = type(self.value).__name__, kind.__name__
            raise FormatError("a wrong type", place=self.place, found=found, wanted=wanted)
        return self.value

    def optional(self, kind: type) -> Any:
        """Return the value when it is of one kind or null."""
        return None if self.value is None else self.get(kind)


def mark_as_over(path: Path, scan_id: str) -> None:
    """Say in the startup JSON of a scan that it has ended; that of another scan is left alone."""
    try:
        startup = StartupFile.read(path)
        if startup.scan_id == scan_id:
            replace(startup, is_over=True).write(path)
    except SkymapScannerError as error:
        logger.warning("clients that start later will not know of the end: %s", error)


def may_be_replaced(path: Path) -> bool:
    """Tell whether an existing file is a startup JSON, of whatever release, or empty."""
    try:
        document = json.loads(_read_bytes(path) or b'{"scan_id": ""}')
    except (InputError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and "scan_id" in document


def _read_bytes(path: Path) -> bytes:
    """Return the content of a file that should be a startup JSON.

    Raises
    ------
    UsageError, FormatError
        When it cannot be read or is too long for one.
    """
    try:
        with open_regular(path) as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read the startup JSON: {error.strerror or error}", place=str(path)
        ) from error
    if len(data) > _MAX_BYTES:
        raise FormatError(
            "too long for a startup JSON", place=str(path), wanted=f"{_MAX_BYTES} bytes"
        )
    return data


def _read_if_there(path: Path) -> StartupFile | None:
    """Read a startup JSON; None when there is none, or no more."""
    try:
        return StartupFile.read(path)
    except InputError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def is_over(path: Path, scan_id: str) -> bool:
    """Tell whether the startup JSON says that this scan has ended."""
    try:
        startup = StartupFile.read(path)
    except InputError:
        return False
    return startup.scan_id == scan_id and startup.is_over


async def wait_for_startup_file(path: Path, timeout_s: float) -> StartupFile:
    """Wait until the startup JSON of a scan that is not over is there, then read it.

    One of a scan that is over may be replaced by the next in a moment; if it is not, it is what
    this returns.

    Raises
    ------
    UsageError
        When it does not appear in time.
    FormatError
        When it is not a startup JSON of this release.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    is_announced = False
    while True:
        left_s = deadline - loop.time()
        startup = _read_if_there(path)
        if startup is not None and (left_s <= 0 or not startup.is_over):
            return startup
        if startup is None and left_s <= 0:
            raise UsageError(
                f"the startup JSON did not appear in {timeout_s:.0f} s; is the server running, and "
                "does it see the same file system? (SKYSCAN_CLIENT_WAIT_FOR_STARTUP_JSON)",
                place=str(path),
            )
        if not is_announced:
            is_announced = True
            logger.info("waiting up to %.0f s for %s", timeout_s, path)
        await asyncio.sleep(min(left_s, _POLL_S))
