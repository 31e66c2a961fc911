"""A reconstruction that dies now and then, in every way one can, to test what happens next.

Whether a try dies is drawn anew each time, with the probability of the environment variable
``SKYSCAN_CRASH_DUMMY_PROBABILITY``: the next try may succeed, and gives what `Dummy` gives.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from skymap_scanner.recos.dummy import Dummy, DummyOptions
from skymap_scanner.recos.options import option

if TYPE_CHECKING:
    from skymap_scanner.event import Event
    from skymap_scanner.pixels import Fit, Seed

__all__ = ["RECO_CLASS", "CrashDummy", "CrashDummyOptions"]

logger = logging.getLogger(__name__)

#: Ways to die; the classic scanner knows "exception" and "hang".
KINDS: Final = ("abort", "segv", "exit", "exception", "hang")
#: Exit status of the kind "exit".
EXIT_STATUS: Final = 37


@dataclass(frozen=True, slots=True)
class CrashDummyOptions(DummyOptions):
    """Settings of the crashing dummy reconstruction."""

    kind: str = option(
        "any", help="how to die; any draws one of the others each time", choices=("any", *KINDS)
    )
    probability: float | None = option(
        None,
        help="probability to die per try; none takes SKYSCAN_CRASH_DUMMY_PROBABILITY",
        minimum=0.0,
        maximum=1.0,
    )


class CrashDummy(Dummy):
    """Dies with some probability per try, else acts as `Dummy`.

    Attributes
    ----------
    rng : random.Random
        Decides who dies; by default the operating system's randomness, different in each process.
    """

    name: ClassVar[str] = "crash_dummy"
    options_type: ClassVar[type[Any]] = CrashDummyOptions

    rng: random.Random = random.SystemRandom()
    _probability: float | None = None

    def prepare(self, event: Event) -> bytes:
        """Return what tells this event from others, and read the probability.

        Raises
        ------
        UsageError
            ``SKYSCAN_CRASH_DUMMY_PROBABILITY`` is no probability.
        """
        self._read_probability()
        return super().prepare(event)

    def fit(self, prepared: bytes, seed: Seed) -> Fit:
        """Die or do as `Dummy.fit`.

        Raises
        ------
        RuntimeError
            One of the ways to die.
        """
        if self.rng.random() < self._read_probability():
            _die(self.rng.choice(KINDS) if self.options.kind == "any" else self.options.kind)
        return super().fit(prepared, seed)

    def _read_probability(self) -> float:
        if self._probability is None:
            from skymap_scanner.config import ENV

            given = self.options.probability
            self._probability = (
                float(given) if given is not None else float(ENV.SKYSCAN_CRASH_DUMMY_PROBABILITY)
            )
        return self._probability


def _die(kind: str) -> NoReturn:
    """End this process or this try in the given way; never returns."""
    logger.debug("crash_dummy dies: %s", kind)
    if kind == "abort":
        os.abort()
    if kind == "segv":
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "exit":
        os._exit(EXIT_STATUS)
    if kind == "exception":
        raise RuntimeError("crash_dummy was to raise an exception")
    while True:  # "hang", and whoever survives the signal above
        time.sleep(3600.0)


RECO_CLASS = CrashDummy
