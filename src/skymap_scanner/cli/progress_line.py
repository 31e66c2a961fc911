"""How far long work is, on stderr: one changing line on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from typing import Final

__all__ = ["ProgressLine"]

#: Seconds between two lines where stderr is no terminal.
_LINE_EVERY_S: Final = 30.0


class ProgressLine:
    """Progress of one stage after the other."""

    def __init__(self) -> None:
        self._stage = ""
        self._first = self._shown = self._start = 0.0

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` parts of a stage are done.

        Parameters
        ----------
        stage : str
            What is being done.
        done, total : int
            Parts of it.
        note : str
            Anything else to say.
        """
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._start, self._first, self._shown = stage, now, float(done), 0.0
        is_terminal = sys.stderr.isatty()
        is_last = done >= total
        if not (is_terminal or is_last or now - self._shown > _LINE_EVERY_S):
            return
        self._shown = now
        text = f"{stage}: {done} of {total}"
        if note:
            text += f", {note}"
        if done > self._first and not is_last:
            left_s = (now - self._start) / (done - self._first) * (total - done)
            text += f", {left_s / 60.0:.1f} min left"
        end = "\n" if is_last or not is_terminal else ""
        print(f"\r{text}\033[K" if is_terminal else text, end=end, file=sys.stderr, flush=True)
