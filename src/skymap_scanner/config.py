"""Every environment variable with type, unit, default and meaning; frame keys per realtime version.

`ENV` is built when one of its attributes is first read: importing this module never fails and never
looks at the environment. Code that needs other values than the process's takes a `Settings` as an
argument (see `read_environment`).
"""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from skymap_scanner.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "ENV",
    "ONE_THREAD",
    "TIMEOUT_ADVICE",
    "FrameKeys",
    "Settings",
    "Variable",
    "environment_variables",
    "frame_keys",
    "read_environment",
]

#: Numerical libraries of one process among many must not use the cores of the others.
ONE_THREAD: Final[Mapping[str, str]] = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)

_TRUE: Final = ("true", "1", "yes", "on", "t", "y")
_FALSE: Final = ("false", "0", "no", "off", "f", "n")
_LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _flag(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError


def _text(text: str) -> str:
    return text.strip()


def _choice_of(*choices: str, upper: bool = False) -> Callable[[str], str]:
    def parse(text: str) -> str:
        word = text.strip().upper() if upper else text.strip().lower()
        if word not in choices:
            raise ValueError
        return word

    return parse


def _number(kind: type[int] | type[float], minimum: float, maximum: float, *, above: bool) -> Any:
    def parse(text: str) -> float:
        value = kind(text.strip())
        if not math.isfinite(value) or value > maximum or value < minimum:
            raise ValueError
        if above and value == minimum:
            raise ValueError
        return value

    return parse


def _variable(
    default: object,
    parse: Callable[[str], object],
    meaning: str,
    *,
    wanted: str,
    unit: str = "",
    secret: bool = False,
) -> Any:
    """Return the dataclass field of one environment variable."""
    about = {
        "parse": parse,
        "meaning": meaning,
        "wanted": wanted,
        "unit": unit,
        "secret": secret,
    }
    return dataclasses.field(default=default, metadata=about)


def _seconds(default: float, meaning: str, *, zero_allowed: bool = False) -> Any:
    return _variable(
        default,
        _number(float, 0.0, 1e9, above=not zero_allowed),
        meaning,
        wanted="a number of seconds, at least 0" if zero_allowed else "a number of seconds above 0",
        unit="s",
    )


def _count(default: int, meaning: str, *, maximum: int = 1_000_000) -> Any:
    return _variable(
        default,
        _number(int, 1, maximum, above=False),
        meaning,
        wanted=f"a whole number from 1 to {maximum}",
    )


def _fraction(default: float, meaning: str) -> Any:
    return _variable(
        default, _number(float, 0.0, 1.0, above=False), meaning, wanted="a number from 0 to 1"
    )


def _words(meaning: str, *, secret: bool = False) -> Any:
    return _variable("", _text, meaning, wanted="any text", secret=secret)


def _switch(meaning: str) -> Any:
    return _variable(default=False, parse=_flag, meaning=meaning, wanted="true or false")


def _level(default: str, meaning: str) -> Any:
    return _variable(
        default,
        _choice_of(*_LOG_LEVELS, upper=True),
        meaning,
        wanted=f"one of {', '.join(_LOG_LEVELS)}",
    )


_BROKERS: Final = ("rabbitmq", "pulsar", "nats", "embedded")


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment of one program, checked and typed; attributes are named like the variables.

    Times are wall-clock seconds. The constructor gives the defaults; `read_environment` reads a
    mapping such as ``os.environ``.
    """

    SKYSCAN_BROKER_CLIENT: str = _variable(
        "rabbitmq",
        _choice_of(*_BROKERS),
        "broker between server and clients that are started by hand; `skymap-scanner scan` always "
        "uses embedded",
        wanted=f"one of {', '.join(_BROKERS)}",
    )
    SKYSCAN_BROKER_ADDRESS: str = _words(
        "where the broker is: RabbitMQ [SCHEME://][USER[:PASS]@]HOST[:PORT][/VHOST] (https, amqps: "
        "TLS); Pulsar and NATS host[:port] or URL; embedded: where the server listens, "
        "tcp://HOST:PORT or unix:///PATH, empty for a free port on loopback"
    )
    SKYSCAN_BROKER_AUTH: str = _words(
        "token for the broker (RabbitMQ: password or OAuth2 token; Pulsar: JWT; NATS: token)",
        secret=True,
    )
    SKYSCAN_MQ_TIMEOUT_TO_CLIENTS: float = _seconds(
        1800.0, "silence after which a client concludes that the scan is over"
    )
    SKYSCAN_MQ_TIMEOUT_FROM_CLIENTS: float = _seconds(
        259200.0, "silence after which the server concludes that all clients are gone"
    )
    SKYSCAN_MQ_CLIENT_TIMEOUT_WAIT_FOR_FIRST_MESSAGE: float = _seconds(
        3600.0, "how long a client waits for its first pixel"
    )
    EWMS_PILOT_TASK_TIMEOUT: float = _seconds(
        1800.0, "time allowed for one pixel variation; then its process is killed"
    )
    EWMS_PILOT_QUARANTINE_TIME: float = _seconds(
        0.0,
        "how long a client sleeps after a fatal error, so that a broken node spares the queue",
        zero_allowed=True,
    )
    EWMS_PILOT_STOP_LISTENING_ON_TASK_ERROR: bool = _switch(
        "a client ends after its first failed task"
    )
    EWMS_PILOT_CONCURRENT_TASKS: int = _count(
        1, "reconstructing processes of a client (the option --workers wins)"
    )
    EWMS_PILOT_PREFETCH: int = _count(1, "messages that a client holds ahead per process")
    SKYSCAN_CLIENT_WAIT_FOR_STARTUP_JSON: float = _seconds(
        60.0, "how long a client waits for the startup JSON to appear", zero_allowed=True
    )
    SKYSCAN_MAX_ATTEMPTS: int = _count(
        3, "attempts before a pixel variation is recorded as failed", maximum=100
    )
    SKYSCAN_MAX_FAILED_PIXELS: float = _fraction(
        0.05,
        "fraction of a level's pixels without any finite fit above which the scan ends; one such "
        "pixel is tolerated in any case, unless this is 0",
    )
    SKYSCAN_BROKER_CONNECT_TIMEOUT: float = _seconds(
        300.0,
        "how long to try, with growing pauses, to reach a broker that does not answer",
        zero_allowed=True,
    )
    SKYSCAN_PROGRESS_INTERVAL_SEC: float = _seconds(60.0, "pause between two progress reports")
    SKYSCAN_RESULT_INTERVAL_SEC: float = _seconds(
        120.0, "pause between two writings of the result so far"
    )
    SKYSCAN_KILL_SWITCH_CHECK_INTERVAL: float = _seconds(
        300.0, "pause between two looks at SkyDriver's kill switch"
    )
    SKYSCAN_SKYDRIVER_ADDRESS: str = _words("address of the SkyDriver REST service")
    SKYSCAN_SKYDRIVER_AUTH: str = _words("bearer token for SkyDriver", secret=True)
    SKYSCAN_SKYDRIVER_SCAN_ID: str = _words("id of this scan at SkyDriver")
    SKYSCAN_LOG: str = _level("INFO", "log level of the scanner")
    SKYSCAN_LOG_THIRD_PARTY: str = _level("WARNING", "log level of the libraries we use")
    SKYSCAN_EWMS_PILOT_LOG: str = _level("INFO", "log level of the client's task handling")
    SKYSCAN_MQ_CLIENT_LOG: str = _level("INFO", "log level of the broker drivers")
    SKYSCAN_MINI_TEST: bool = _switch("two vertex variations only for millipede_original")
    SKYSCAN_CRASH_DUMMY_PROBABILITY: float = _fraction(
        0.5, "how often the reconstruction crash_dummy dies or hangs"
    )


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable as the documentation shows it."""

    name: str
    default: object
    unit: str  #: "s" or empty
    meaning: str
    wanted: str  #: what is legal
    is_secret: bool  #: the value is never shown


def environment_variables() -> list[Variable]:
    """Return every variable in the order of the documentation."""
    return [
        Variable(
            name=field.name,
            default=field.default,
            unit=field.metadata["unit"],
            meaning=field.metadata["meaning"],
            wanted=field.metadata["wanted"],
            is_secret=field.metadata["secret"],
        )
        for field in dataclasses.fields(Settings)
    ]


def read_environment(environment: Mapping[str, str]) -> Settings:
    """Check and convert every variable that `environment` holds; the others get their defaults.

    Raises
    ------
    UsageError
        When a value is malformed, or empty where the default is not; names the variable, the value
        (unless it is a secret) and what is legal.

    Examples
    --------
    >>> read_environment({"SKYSCAN_MAX_ATTEMPTS": "5"}).SKYSCAN_MAX_ATTEMPTS
    5
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Settings):
        text = environment.get(field.name)
        if text is None or (not text.strip() and field.default == ""):
            continue
        found = "(secret)" if field.metadata["secret"] else repr(text)
        try:
            values[field.name] = field.metadata["parse"](text)
        except (ValueError, OverflowError):
            raise UsageError(
                "illegal value of an environment variable",
                place=field.name,
                found=found,
                wanted=f"{field.metadata['wanted']}, or the variable unset",
            ) from None
    return Settings(**values)


class _LazySettings:
    """Stands for the process's `Settings`, which are made at the first look at an attribute."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        settings = read_environment(os.environ)
        # The values become attributes of their own, so that this runs once.
        self.__dict__.update(
            {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
        )
        if name not in self.__dict__:
            raise AttributeError(f"no environment variable of ours is called {name}")
        return self.__dict__[name]


#: The environment of this process.
ENV: Final[Settings] = cast("Settings", _LazySettings())


#: How to choose the three timeouts and when they expire, for `skymap-scanner env` and the docs.
TIMEOUT_ADVICE: Final = """\
SKYSCAN_MQ_CLIENT_TIMEOUT_WAIT_FOR_FIRST_MESSAGE
    Runs in a client from its start until its first pixel. Choose it longer than the time by which
    clients may start before the server has read the event and sent pixels. When it expires the
    client ends with exit code 0: there was nothing to do.
SKYSCAN_MQ_TIMEOUT_TO_CLIENTS
    Runs in a client between two pixels. A client may starve while the slowest fits of a level are
    still running elsewhere, so choose it longer than the longest fit times SKYSCAN_MAX_ATTEMPTS.
    The end of a scan does not wait for it: the server tells its clients. When it expires the
    client takes the server for dead and ends with exit code 0.
SKYSCAN_MQ_TIMEOUT_FROM_CLIENTS
    Runs in the server, from the start and again from every sign of life of any client (hello, beat,
    result). Choose it longer than clients may wait in a batch system's queue before they start.
    When it expires the server writes what it has and ends: exit code 10 when no client ever came,
    11 when all have gone.
Clients that start after the end of a scan see in the startup JSON that it is over; they wait
SKYSCAN_CLIENT_WAIT_FOR_STARTUP_JSON for the next one and end with exit code 0. Clients that start
before the server wait as long for the startup JSON to appear.
"""


@dataclass(frozen=True, slots=True)
class FrameKeys:
    """Names of frame objects that changed between realtime versions."""

    pulses: str
    online_track: str
    best_fit: str


_KEYS_BEFORE_2023: Final = FrameKeys(
    "SplitUncleanedInIcePulses", "OnlineL2_SplineMPE", "OnlineL2_BestFit"
)
_KEYS_SINCE_2023: Final = FrameKeys("SplitInIcePulses", "l2_online_SplineMPE", "l2_online_BestFit")


def frame_keys(version: str) -> FrameKeys:
    """Return the classic frame keys of a realtime message version such as "2021a".

    Messages without a version (2016/17) and unknown versions have the names used before 2023.

    Examples
    --------
    >>> frame_keys("2023a").pulses
    'SplitInIcePulses'
    >>> frame_keys("").online_track
    'OnlineL2_SplineMPE'
    """
    year = version[:4]
    return _KEYS_SINCE_2023 if year.isdigit() and int(year) >= 2023 else _KEYS_BEFORE_2023
