"""From a request to a plan: read and check everything before anything is sent."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from skymap_scanner.client.startup import may_be_replaced
from skymap_scanner.exceptions import EventError, InputError, UsageError
from skymap_scanner.server.folders import Folders, make_folder

if TYPE_CHECKING:
    from datetime import datetime

    from skymap_scanner.config import Settings
    from skymap_scanner.event import Event
    from skymap_scanner.recos import RecoInterface
    from skymap_scanner.result.levels import LevelRule
    from skymap_scanner.server.arguments import ScanRequest
    from skymap_scanner.sky.progression import NSideProgression
    from skymap_scanner.sky.region import Cone

__all__ = ["ScanPlan", "make_scan_id", "prepare_scan"]

logger = logging.getLogger(__name__)

#: Longest scan id that leaves a task message within 800 bytes.
_MAX_SCAN_ID: Final = 64
#: What the user says of the event, in the words of `check_real_event`.
_KINDS: Final[dict[bool | None, Literal["real", "simulated"] | None]] = {
    True: "real",
    False: "simulated",
    None: None,
}


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """All that is known when a scan starts.

    Attributes
    ----------
    reco : RecoInterface
        With its effective settings.
    n_variations : int
        Variations of the vertex per pixel.
    region : Cone, optional
        The part of the sky to which every resolution is confined (--around).
    pointing : Cone, optional
        Where the first resolution looks, for a pointed reconstruction.
    is_real : bool
        Whether IceCube recorded the event.
    level_rule : LevelRule
        How credible regions are made.
    """

    request: ScanRequest
    settings: Settings
    event: Event
    is_real: bool
    reco: RecoInterface
    n_variations: int
    progression: NSideProgression
    region: Cone | None
    pointing: Cone | None
    level_rule: LevelRule
    scan_id: str
    started: datetime
    folders: Folders


def prepare_scan(
    request: ScanRequest, settings: Settings, *, now: datetime, suffix: str
) -> ScanPlan:
    """Read the event and check all that can be checked before the scan.

    Parameters
    ----------
    request : ScanRequest
        What the user wants.
    settings : Settings
        The environment.
    now : datetime
        Time of day, with its zone; part of the scan id.
    suffix : str
        Random letters that keep the ids of two scans apart.

    Raises
    ------
    InputError
        Whatever the user can mend, with exit code 2.
    """
    from skymap_scanner.event.event import check_real_event
    from skymap_scanner.recos.interface import plugin_errors
    from skymap_scanner.recos.registry import get_reco_class, make_reco
    from skymap_scanner.sky.progression import NSideProgression
    from skymap_scanner.sky.region import Cone

    progression = NSideProgression.parse(request.nsides)
    region = None if request.around is None else Cone(*request.around)
    get_reco_class(request.reco_algo)
    _check_startup_path(request)
    event = _read_event(request)
    reco = make_reco(request.reco_algo, request.reco_options, realtime_format_version=event.version)
    try:
        is_real = check_real_event(event, _KINDS[request.is_real])
        with plugin_errors(reco, "check_event"):
            reco.check_event(event)
        pointing = None if region is not None else _pointing_cone(event, reco)
    except InputError as error:
        raise error.at(str(request.event_file)) from error
    cone = region or pointing
    progression.check_size(1.0 if cone is None else cone.sky_fraction)
    level_rule = _level_rule(request, reco, event)
    with plugin_errors(reco, "get_vertex_variations"):
        n_variations = len(reco.get_vertex_variations())
    folders = Folders.of_scan(
        output=request.output_dir,
        cache=request.cache_dir,
        event_name=event.name,
        nsides=progression.nsides,
        reco_name=reco.name,
        settings={
            "reco": reco.name,
            "options": reco.describe_options(),
            "progression": str(progression),
            "around": request.around,
            "threshold": request.threshold,
            "detector": event.detector.source,
        },
    )
    # Clients that are started early would take one of an earlier scan for ours.
    request.client_startup_json.unlink(missing_ok=True)
    return ScanPlan(
        request=request,
        settings=settings,
        event=event,
        is_real=is_real,
        reco=reco,
        n_variations=n_variations,
        progression=progression,
        region=region,
        pointing=pointing,
        level_rule=level_rule,
        scan_id=make_scan_id(
            event.run_id, event.event_id, progression.nsides, int(now.timestamp()), suffix
        ),
        started=now,
        folders=folders,
    )


def make_scan_id(
    run_id: int, event_id: int, nsides: tuple[int, ...], epoch_s: int, suffix: str
) -> str:
    """Name a scan so that no two scans share the name.

    Examples
    --------
    >>> make_scan_id(136662, 35405932, (8, 64), 1700000000, "a1b2")
    '136662-35405932-8-64-1700000000-a1b2'
    """
    levels = "-".join(map(str, nsides))
    scan_id = f"{run_id}-{event_id}-{levels}-{epoch_s}-{suffix}"
    if len(scan_id) > _MAX_SCAN_ID:
        scan_id = f"{run_id}-{event_id}-{nsides[0]}-to-{nsides[-1]}-{epoch_s}-{suffix}"
    return scan_id[-_MAX_SCAN_ID:]


def _level_rule(request: ScanRequest, reco: RecoInterface, event: Event) -> LevelRule:
    """Choose how regions are made, and warn when calibrated levels cannot be used."""
    from skymap_scanner.event import clean_for_tracks
    from skymap_scanner.result.levels import rule_for

    rule = rule_for(
        reco.name,
        reco.describe_options(),
        wanted=request.level_rule,
        charge=float(clean_for_tracks(event).total_charge),
    )
    if rule.note:
        logger.warning("regions are made by the rule %s: %s", rule.name, rule.note)
    return rule


def _check_startup_path(request: ScanRequest) -> None:
    path = request.client_startup_json
    if not path.absolute().parent.is_dir():
        raise UsageError(
            "the folder does not exist",
            place="--client-startup-json",
            found=str(path.parent),
            wanted="an existing folder",
        )
    make_folder(path.absolute().parent, option="--client-startup-json")
    if not path.exists() and not path.is_symlink():
        return
    if not may_be_replaced(path):
        raise UsageError(
            "something else is there and would be lost",
            place="--client-startup-json",
            found=str(path),
            wanted="a new file or the startup JSON of an earlier scan",
        )


def _read_event(request: ScanRequest) -> Event:
    from skymap_scanner.event import read_event

    path = request.event_file
    if not path.exists():
        raise UsageError("no such event file", place=str(path))
    event = read_event(
        path, gcd_dir=request.gcd_dir, which=request.which, cache_dir=request.cache_dir
    )
    if len(event.pulses) == 0:
        raise EventError(
            "the event has no pulses", place=f"{path}: {event.pulses_name}", found=0, wanted="some"
        )
    logger.info(
        "%s: %d pulses of %d modules, %s; detector: %s",
        event.name,
        len(event.pulses),
        event.pulses.n_doms,
        event.pulses_name,
        event.detector.source,
    )
    return event


def _pointing_cone(event: Event, reco: RecoInterface) -> Cone | None:
    """Return the region that a pointed reconstruction scans, or None for the whole sky."""
    if reco.pointing_dir_name is None:
        return None
    from skymap_scanner.event.coordinates import detector_to_equatorial
    from skymap_scanner.recos.seeding import pointing_direction
    from skymap_scanner.sky.region import Cone
    from skymap_scanner.units import DEG

    ra, dec = detector_to_equatorial(*pointing_direction(event, reco), event.mjd)
    cone = Cone(float(ra), float(dec), reco.ang_dist_deg * DEG)
    logger.info(
        "%s looks within %g deg of RA %.2f deg, Dec %.2f deg",
        reco.name,
        reco.ang_dist_deg,
        cone.ra / DEG,
        cone.dec / DEG,
    )
    return cone
