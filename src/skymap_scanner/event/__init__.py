"""IceCube events: pulses, detector, directions, cleaning and first guesses of the vertex."""

from __future__ import annotations

from skymap_scanner.event.builder import event_from_frames
from skymap_scanner.event.cleaning import clean_for_tracks
from skymap_scanner.event.coordinates import (
    detector_to_equatorial,
    direction_vector,
    equatorial_to_detector,
    vector_to_angles,
)
from skymap_scanner.event.detector import Detector, built_in_detector
from skymap_scanner.event.event import Event, TrackFit, check_real_event, is_real_run, online_fit
from skymap_scanner.event.pulses import PulseSeries, weighted_quantile
from skymap_scanner.event.readers import read_event, read_events
from skymap_scanner.event.vertex import refine_time, seed_vertex, veto_vertex

__all__ = [
    "Detector",
    "Event",
    "PulseSeries",
    "TrackFit",
    "built_in_detector",
    "check_real_event",
    "clean_for_tracks",
    "detector_to_equatorial",
    "direction_vector",
    "equatorial_to_detector",
    "event_from_frames",
    "is_real_run",
    "online_fit",
    "read_event",
    "read_events",
    "refine_time",
    "seed_vertex",
    "vector_to_angles",
    "veto_vertex",
    "weighted_quantile",
]
