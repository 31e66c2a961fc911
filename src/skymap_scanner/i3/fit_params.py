"""What fits say about themselves besides the particle they return."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skymap_scanner.i3.codec import Codec

if TYPE_CHECKING:
    from skymap_scanner.i3.archive import ArchiveReader
    from skymap_scanner.i3.archive_writer import ArchiveWriter

__all__ = [
    "FIT_PARAMS_CODECS",
    "LineFitParams",
    "LogLikelihoodFitParams",
    "TrackCharacteristics",
]

_LOG_LIKELIHOOD = struct.Struct("<ddii")
_LINE_FIT = struct.Struct("<ddddi")
_CHARACTERISTICS = struct.Struct("<dddd")


@dataclass(frozen=True, slots=True)
class LogLikelihoodFitParams:
    """Result of a likelihood fit.

    Parameters
    ----------
    nll, reduced_nll : float
        Negative log-likelihood (`logl` in the field), and that per degree of freedom.
    n_dof : int
        Degrees of freedom.
    n_minimizer_calls : int
        Evaluations of the likelihood.
    """

    nll: float
    reduced_nll: float
    n_dof: int
    n_minimizer_calls: int


@dataclass(frozen=True, slots=True)
class LineFitParams:
    """Result of a line fit: speed and velocity [m/ns], number of hits."""

    speed: float
    velocity_x: float
    velocity_y: float
    velocity_z: float
    n_hits: int


@dataclass(frozen=True, slots=True)
class TrackCharacteristics:
    """How hits lie along a track [m]; names of the first three deduced from their values."""

    mean_dom_distance: float
    empty_length: float
    separation_length: float
    smoothness: float


def _read_log_likelihood(reader: ArchiveReader, _version: int) -> LogLikelihoodFitParams:
    reader.base()
    return LogLikelihoodFitParams(*reader.unpack(_LOG_LIKELIHOOD))


def _write_log_likelihood(writer: ArchiveWriter, obj: LogLikelihoodFitParams) -> None:
    writer.pack(_LOG_LIKELIHOOD, obj.nll, obj.reduced_nll, obj.n_dof, obj.n_minimizer_calls)


def _read_line_fit(reader: ArchiveReader, version: int) -> LineFitParams:
    reader.base()
    if version < 1:
        raise reader.error("a version of I3LineFitParams that we do not know", found=version)
    return LineFitParams(*reader.unpack(_LINE_FIT))


def _read_characteristics(reader: ArchiveReader, _version: int) -> TrackCharacteristics:
    reader.base()
    return TrackCharacteristics(*reader.unpack(_CHARACTERISTICS))


#: How the classes of this module are stored.
FIT_PARAMS_CODECS = (
    Codec(
        "I3LogLikelihoodFitParams",
        "I3LogLikelihoodFitParams",
        0,
        LogLikelihoodFitParams,
        _read_log_likelihood,
        _write_log_likelihood,
    ),
    Codec("I3LineFitParams", "I3LineFitParams", 1, LineFitParams, _read_line_fit),
    Codec(
        "I3TrackCharacteristicsValues",
        "I3TrackCharacteristicsValues",
        0,
        TrackCharacteristics,
        _read_characteristics,
    ),
)
