"""What a reconstruction is: the one class to inherit from, with working defaults for the rest.

Write a reconstruction in one file. The short way ("native") is two methods::

    from dataclasses import dataclass

    from skymap_scanner.pixels import Fit
    from skymap_scanner.recos import RecoInterface, option


    class MyReco(RecoInterface):
        name = "my_reco"
        rotate_vertex = True  # offsets of the vertex are given in the frame of the track
        refine_time = True  # each seed gets the time at which its track fits the nearest pulse

        @dataclass(frozen=True, slots=True)
        class Options:
            sigma_ns: float = option(10.0, help="timing uncertainty", unit="ns", minimum=0.1)

        options_type = Options

        def prepare(self, event):  # once per worker and event
            return arrays_that_the_fit_needs

        def fit(self, prepared, seed):  # once per pixel variation
            return Fit(...)  # or Fit.failed("why")


    RECO_CLASS = MyReco

The other way is the classic one: `traysegment` adds IceTray modules that read the seed particle and
`to_pixelreco` reads what they left in the frame. Either may be static, class or instance methods. A
third-party package announces its module by an entry point in the group ``skymap_scanner.recos``.

Units are m, ns, GeV and rad throughout; `zenith` and `azimuth` say where the particle comes from.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, ClassVar

from skymap_scanner.exceptions import PluginError, SkymapScannerError
from skymap_scanner.recos.options import NoOptions, describe, parse_options
from skymap_scanner.recos.variations import point

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from skymap_scanner.event import Event
    from skymap_scanner.pixels import Fit, Guess, RecoPixelVariation, Seed
    from skymap_scanner.units import FloatArray

__all__ = ["RecoInterface"]

#: Names of one and the same method; a class that writes one of them has both.
_ALIASES = (("to_pixelreco", "to_recopixelvariation"), ("to_recopixelvariation", "to_pixelreco"))


class RecoInterface:
    """Base of every reconstruction.

    Parameters
    ----------
    options : mapping of str to str, optional
        Settings as the user wrote them (``--reco-option k=v``); the rest keep their defaults. A
        classic plug-in that calls ``super().__init__(realtime_format_version)`` hands a text here:
        it is taken as that version.
    realtime_format_version : str
        Version of the realtime message ("2021a"), for plug-ins that need classic frame keys.

    Raises
    ------
    UsageError
        A setting that this reco does not have or whose value is not legal.

    Attributes
    ----------
    options : object of type `options_type`
        The effective settings.
    """

    #: Name on the command line and in files; by default the class's name in snake case.
    name: ClassVar[str] = ""
    #: Whether vertex offsets are given in the frame whose z axis is the track.
    rotate_vertex: ClassVar[bool] = False
    #: Whether a seed's time is moved so that its track explains the nearest pulse.
    refine_time: ClassVar[bool] = False
    #: Whether a seed from a coarser pixel also carries the reco's own vertex as second first guess.
    add_fallback_position: ClassVar[bool] = False
    #: The scan begins with the pixels around this fit of the event: "online" or the name of a fit.
    pointing_dir_name: ClassVar[str | None] = None
    #: How far from it the centres of these pixels may be [deg].
    ang_dist_deg: ClassVar[float] = 3.5
    #: Charges [PE] to be reached by the vertex search, tried in this order.
    vertex_thresholds: ClassVar[tuple[float, ...]] = (250.0, 5.0)
    #: Whether a vertex stored in the message is taken instead of searching one.
    use_stored_vertex: ClassVar[bool] = True
    #: Sets of vertex offsets that the setting ``variations`` chooses from [m].
    variation_sets: ClassVar[Mapping[str, FloatArray]] = {"classic": point()}
    #: Frozen dataclass of the settings, see `skymap_scanner.recos.options.option`.
    options_type: ClassVar[type[Any]] = NoOptions

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__dict__.get("name"):
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        for written, missing in _ALIASES:
            if written in cls.__dict__ and missing not in cls.__dict__:
                setattr(cls, missing, cls.__dict__[written])

    def __init__(
        self,
        options: Mapping[str, str] | str | None = None,
        realtime_format_version: str = "",
    ) -> None:
        if isinstance(options, str):
            realtime_format_version = options
            options = None
        self.realtime_format_version = realtime_format_version
        self.options: Any = parse_options(self.options_type, options or {}, self.name)

    # --- where fits start -------------------------------------------------------------------------

    def get_vertex_variations(self) -> FloatArray:
        """Return the vertex offsets of the variations of one pixel.

        By default the set of `variation_sets` that the setting ``variations`` names, or the set
        ``classic`` where the reco has no such setting.

        Returns
        -------
        ndarray, shape (n_variations, 3), or a list of objects with x, y, z
            Offsets [m], constant: they are rotated anew for every pixel.
        """
        return self.variation_sets[getattr(self.options, "variations", "classic")].copy()

    def base_vertex(self, event: Event) -> Guess:
        """Return the event's vertex and time, from which the coarsest pixels start.

        By default where the charge first reaches one of `vertex_thresholds` (or the stored vertex).

        Parameters
        ----------
        event : Event
            What was measured.

        Returns
        -------
        Guess
            Vertex [m] and time [ns].
        """
        from skymap_scanner.event.vertex import seed_vertex

        return seed_vertex(
            event, thresholds=self.vertex_thresholds, use_stored=self.use_stored_vertex
        )

    # --- the native way ---------------------------------------------------------------------------

    def check_event(self, event: Event) -> None:
        """Say at once when this reco cannot work on an event; by default it can on any.

        The server asks before it starts a worker, so that the user need not wait for one to fail.

        Parameters
        ----------
        event : Event
            What was measured.

        Raises
        ------
        EventError
            As `prepare` would raise it.
        """

    def prepare(self, event: Event) -> Any:
        """Do once per worker what all fits of this event share: cleaning, arrays, tables.

        Parameters
        ----------
        event : Event
            What was measured.

        Returns
        -------
        object
            Whatever `fit` wants to have.

        Raises
        ------
        EventError
            This reco cannot work on this event (for example no pulse survives the cleaning).
        """
        raise PluginError(_unfinished(self, "prepare", event))

    def fit(self, prepared: Any, seed: Seed) -> Fit:
        """Find the best hypothesis with the direction of one pixel variation.

        Parameters
        ----------
        prepared : object
            What `prepare` returned; not to be changed, many fits share it.
        seed : Seed
            Direction (fixed) and first guess (or two) of vertex, time and energy.

        Returns
        -------
        Fit
            The minimum, or ``Fit.failed(reason)``. The same prepared event and seed must give the
            same bits on every call: the map must not depend on which worker did what.
        """
        raise PluginError(_unfinished(self, "fit", prepared, seed))

    def warm_up(self) -> None:
        """Compile kernels and load tables, so that the first pixel takes no longer than others."""

    def describe_options(self) -> dict[str, object]:
        """Return the effective settings as plain JSON values; they are recorded with the result."""
        return describe(self.options)

    # --- the classic way --------------------------------------------------------------------------

    def setup_reco(self) -> None:
        """Load what the modules of `traysegment` need; called once per worker before them."""
        self.warm_up()

    def prepare_frames(self, tray: Any, name: str, logger: Any) -> None:
        """Add modules that prepare the event's frames once (cleaned pulses, exclusions).

        Parameters
        ----------
        tray : I3Tray or skymap_scanner.recos.tray.Tray
            Where to add modules.
        name : str
            Name for the modules.
        logger : logging.Logger
            Where to say what happens.
        """

    def traysegment(self, tray: Any, name: str, logger: Any, seed: Any = None) -> None:
        """Add the modules that reconstruct the pixel frames that come through `tray`.

        By default one that runs `prepare` (once per event) and `fit` (per pixel frame), in an
        ``I3Tray`` as well as in our own ``Tray``.

        Parameters
        ----------
        tray : I3Tray or skymap_scanner.recos.tray.Tray
            Where to add modules.
        name : str
            Name for the modules.
        logger : logging.Logger
            Where to say what happens.
        seed : I3Particle-like, optional
            First guess and direction; by default ``MillipedeSeedParticle`` of each pixel frame.
        """
        from skymap_scanner.recos.native_tray import add_native_fit

        add_native_fit(self, tray, name, logger, seed)

    def to_pixelreco(self, frame: Any, geometry: Any) -> RecoPixelVariation:
        """Read the outcome of one pixel variation from the frame that `traysegment` filled.

        Parameters
        ----------
        frame : I3Frame-like
            The pixel frame after all modules.
        geometry : I3Geometry-like
            Where the optical modules are.

        Returns
        -------
        RecoPixelVariation
            Classic words; ``llh`` is the negative log-likelihood, NaN or infinite when it failed.
        """
        from skymap_scanner.recos.native_tray import read_native_fit

        del geometry  # a native fit knows the detector from its event
        return read_native_fit(self, frame)

    def to_recopixelvariation(self, frame: Any, geometry: Any) -> RecoPixelVariation:
        """Do the same as `to_pixelreco`, under the name of older plug-ins."""
        return self.to_pixelreco(frame, geometry)


@contextlib.contextmanager
def plugin_errors(reco: RecoInterface, method: str) -> Iterator[None]:
    """Turn whatever a method of a reco raises into an error that names reco and method.

    Raises
    ------
    PluginError
        Instead of anything but our own errors.
    """
    try:
        yield
    except SkymapScannerError:
        raise
    except Exception as error:
        raise PluginError(
            f"reco {reco.name}: {method} failed: {type(error).__name__}: {error}"
        ) from error


def is_native(reco: RecoInterface) -> bool:
    """Tell whether `reco` has its own `fit`, and so needs no tray."""
    return type(reco).fit is not RecoInterface.fit


def _unfinished(reco: RecoInterface, method: str, *arguments: object) -> str:
    given = ", ".join(type(argument).__name__ for argument in arguments)
    return (
        f"reco {reco.name}: class {type(reco).__qualname__} has no {method}({given}); a reco needs "
        "prepare and fit, or traysegment and to_pixelreco"
    )
