"""A small tray: runs modules that are Python callables over frames, the way IceTray does.

It covers what a reconstruction written in Python needs of ``I3Tray``: ``Add``, ``AddModule``,
``AddSegment``, ``Execute``, ``Finish``; conditional modules (``If=``), streams (``Streams=``),
dropped frames, and frames that see what is in the frames above them (G, C, D, Q, then P).
IceTray's C++ modules and services need IceTray; asking for one is an error that says so.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from skymap_scanner.exceptions import PluginError, SkymapScannerError
from skymap_scanner.recos.tray_frame import TrayFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Tray", "TrayFrame"]

#: Streams from the longest-lived to the shortest: a frame sees the latest of all before its own.
#: "p" is the event's physics frame in a scan, where "P" is that of a pixel.
STREAM_ORDER: Final = "GCDQpP"


@dataclass(frozen=True, slots=True)
class _Module:
    name: str
    call: Callable[..., object]
    parameters: dict[str, Any]
    streams: frozenset[str]
    condition: Callable[[TrayFrame], object] | None


class Tray:
    """Runs frames through modules, one frame after the other.

    Parameters
    ----------
    frames : iterable of TrayFrame
        What comes in: instead of a reader module.

    Attributes
    ----------
    context : dict
        What modules may share; the runner puts the ``event`` there.
    """

    def __init__(self, frames: Iterable[TrayFrame] = ()) -> None:
        self.context: dict[str, Any] = {}
        self._source = iter(frames)
        self._modules: list[_Module] = []
        self._latest: dict[str, TrayFrame] = {}

    def Add(  # noqa: N802  # IceTray's name
        self, module: Any, name: str | None = None, /, **parameters: Any
    ) -> None:
        """Add a module, or a segment if it is marked as one (``@icetray.traysegment``)."""
        if getattr(module, "__i3traysegment__", False):
            self.AddSegment(module, name, **parameters)
        else:
            self.AddModule(module, name, **parameters)

    def AddSegment(  # noqa: N802  # IceTray's name
        self, segment: Callable[..., object], name: str | None = None, /, **parameters: Any
    ) -> None:
        """Let `segment` add its modules: it is called as ``segment(tray, name, **parameters)``."""
        segment(self, name or _name_of(segment), **parameters)

    def AddModule(  # noqa: N802  # IceTray's name
        self, module: Any, name: str | None = None, /, **parameters: Any
    ) -> None:
        """Add a callable that gets each frame.

        Parameters
        ----------
        module : callable
            Called as ``module(frame, **parameters)``; where it returns False the frame is dropped.
        name : str, optional
            Must be unique in this tray.
        **parameters
            ``If``: callable of the frame, the module is passed by where it returns something false;
            ``Streams``: letters (or IceTray streams) of the frames wanted, by default P; the rest
            is for the module.

        Raises
        ------
        PluginError
            Not a Python callable, a name used twice, or parameters that the module does not take.
        """
        name = name or self._free_name(_name_of(module))
        if not callable(module) or inspect.isclass(module):
            what = repr(module) if isinstance(module, str) else f"class {_name_of(module)}"
            msg = (
                f"tray module {name!r}: {what} is no Python callable; IceTray's own modules need "
                "IceTray (the package icecube cannot be imported here)"
            )
            raise PluginError(msg)
        if any(name == other.name for other in self._modules):
            msg = f"tray module {name!r}: there is already one of this name"
            raise PluginError(msg)
        condition = parameters.pop("If", None)
        streams = frozenset(_letter(stream) for stream in parameters.pop("Streams", "P"))
        _check_parameters(name, module, parameters)
        self._modules.append(_Module(name, module, parameters, streams, condition))

    def AddService(self, service: Any, name: str | None = None, **_: Any) -> None:  # noqa: N802  # IceTray's name
        """Refuse: services are C++ objects of IceTray."""
        msg = (
            f"tray service {name or _name_of(service)!r} needs IceTray (icecube cannot be imported)"
        )
        raise PluginError(msg)

    def Execute(self, n_frames: int | None = None) -> list[TrayFrame]:  # noqa: N802  # IceTray's name
        """Run the frames through all modules.

        Parameters
        ----------
        n_frames : int, optional
            At most so many; by default all that come.

        Returns
        -------
        list of TrayFrame
            Those that reached the end.

        Raises
        ------
        PluginError
            A module raised something that is not one of our errors; the module is named.
        """
        done: list[TrayFrame] = []
        n_left = -1 if n_frames is None else n_frames
        while n_left != 0 and (frame := next(self._source, None)) is not None:
            n_left -= 1
            if self._run(frame):
                done.append(frame)
        return done

    def Finish(self) -> None:  # noqa: N802  # IceTray's name
        """Forget the frames; a tray may be finished more than once."""
        self._source = iter(())
        self._latest.clear()

    def _run(self, frame: TrayFrame) -> bool:
        """Take one frame through the modules; False if one of them dropped it."""
        order = STREAM_ORDER.find(frame.stop)
        above = STREAM_ORDER[:order] if order >= 0 else STREAM_ORDER
        frame.see(self._latest[stop] for stop in reversed(above) if stop in self._latest)
        for module in self._modules:
            if frame.stop in module.streams and not _call(module, frame):
                return False
        self._latest[frame.stop] = frame
        for stop in STREAM_ORDER[order + 1 :] if order >= 0 else "":
            self._latest.pop(stop, None)
        return True

    def _free_name(self, stem: str) -> str:
        taken = {module.name for module in self._modules}
        return next(name for i in range(len(taken) + 1) if (name := f"{stem}_{i:04d}") not in taken)


def _call(module: _Module, frame: TrayFrame) -> bool:
    try:
        if module.condition is not None and not module.condition(frame):
            return True
        answer = module.call(frame, **module.parameters)
    except SkymapScannerError as error:
        error.add_note(f"in tray module {module.name!r}")
        raise
    except Exception as error:
        msg = f"tray module {module.name!r}: {type(error).__name__}: {error}"
        raise PluginError(msg) from error
    return answer is None or bool(answer)


def _check_parameters(name: str, module: Callable[..., object], parameters: dict[str, Any]) -> None:
    try:
        signature = inspect.signature(module)
    except (TypeError, ValueError):  # some C functions do not tell
        return
    try:
        signature.bind(object(), **parameters)
    except TypeError as error:
        msg = f"tray module {name!r}: it cannot be called as module(frame, **parameters): {error}"
        raise PluginError(msg) from error


def _name_of(thing: object) -> str:
    return thing if isinstance(thing, str) else getattr(thing, "__name__", type(thing).__name__)


def _letter(stream: Any) -> str:
    """Return the letter of a stream given as a letter or as IceTray's ``I3Frame.Stream``."""
    return str(getattr(stream, "id", stream))
