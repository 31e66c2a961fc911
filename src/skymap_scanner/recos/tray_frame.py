"""Frames of our own small tray: named objects, and behind them those of the frames above."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["TrayFrame"]


class _Entries:
    """A frame's own objects: those it came with, decoded when asked for, and those put into it."""

    def __init__(self, stored: Any, waiting: Iterable[str], ready: dict[str, Any]) -> None:
        self._stored = stored
        self._waiting = set(waiting)
        self._ready = dict(ready)

    def keys(self) -> set[str]:
        return self._waiting | self._ready.keys()

    def read(self, key: str) -> Any:
        if key in self._waiting:
            self._ready[key] = self._stored[key]
            self._waiting.discard(key)
        return self._ready[key]

    def put(self, key: str, value: Any) -> None:
        self._ready[key] = value

    def drop(self, key: str) -> None:
        self._waiting.discard(key)
        self._ready.pop(key, None)

    def copied(self) -> _Entries:
        return _Entries(self._stored, self._waiting, self._ready)


class TrayFrame:
    """Named objects of one stop, and behind them those of the frames above.

    Parameters
    ----------
    stop : str
        Letter of the stream: G, C, D, Q, p or P.
    entries : mapping, optional
        The frame's own objects; an ``i3.Frame`` will do, its objects are decoded when asked for.
    """

    def __init__(self, stop: str = "P", entries: Any = None) -> None:
        self.stop = stop
        #: What the frame was made from; changes of the frame are not in it.
        self.source = None if isinstance(entries, _Entries) else entries
        #: Own entries first, then those of the frames above, the nearest first.
        self.layers = [
            entries if isinstance(entries, _Entries) else _Entries(entries, _own_keys(entries), {})
        ]

    @property
    def Stop(self) -> str:  # noqa: N802  # IceTray's name
        """Letter of the stream."""
        return self.stop

    def keys(self) -> list[str]:
        """Return all visible keys, sorted."""
        return sorted(set[str]().union(*(layer.keys() for layer in self.layers)))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __contains__(self, key: object) -> bool:
        return any(key in layer.keys() for layer in self.layers)  # noqa: SIM118  # not a mapping

    def __getitem__(self, key: str) -> Any:
        for layer in self.layers:
            if key in layer.keys():  # noqa: SIM118  # not a mapping
                return layer.read(key)
        raise KeyError(key)

    def __setitem__(self, key: str, value: Any) -> None:
        if key in self:
            msg = f"frame already has {key!r}; delete it first"
            raise KeyError(msg)
        self.layers[0].put(key, value)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        for layer in self.layers:
            layer.drop(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return an object, or `default` where there is none."""
        try:
            return self[key]
        except KeyError:
            return default

    def items(self) -> list[tuple[str, Any]]:
        """Return all visible objects with their keys, sorted by key."""
        return [(key, self[key]) for key in self.keys()]

    def Has(self, key: str) -> bool:  # noqa: N802  # IceTray's name
        """Tell whether there is an object of this key."""
        return key in self

    def Get(self, key: str) -> Any:  # noqa: N802  # IceTray's name
        """Return an object."""
        return self[key]

    def Put(self, key: str, value: Any) -> None:  # noqa: N802  # IceTray's name
        """Add an object under a new key."""
        self[key] = value

    def Replace(self, key: str, value: Any) -> None:  # noqa: N802  # IceTray's name
        """Put an object under a key that there is."""
        del self[key]
        self[key] = value

    def Delete(self, key: str) -> None:  # noqa: N802  # IceTray's name
        """Remove an object, if there is one."""
        if key in self:
            del self[key]

    def see(self, frames: Iterable[TrayFrame]) -> None:
        """Put `frames` above this one, the nearest first."""
        self.layers[1:] = [frame.layers[0] for frame in frames]

    def copy(self, stop: str | None = None) -> TrayFrame:
        """Return a frame with the same own objects, under another stop if wanted."""
        return TrayFrame(stop or self.stop, self.layers[0].copied())


def _own_keys(entries: Any) -> Iterable[str]:
    """Return the keys of a mapping; of an ``i3.Frame`` those that it does not only see above."""
    if entries is None:
        return ()
    own: Iterable[str] = (entries.own_keys if hasattr(entries, "own_keys") else entries.keys)()
    return own
