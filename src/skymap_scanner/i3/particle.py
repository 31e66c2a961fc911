"""I3Particle: a track or cascade, fitted or simulated."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from skymap_scanner.i3.codec import Codec
from skymap_scanner.i3.vectors3d import (
    Direction,
    Position,
    read_direction,
    read_position,
    write_direction,
    write_position,
)

if TYPE_CHECKING:
    from skymap_scanner.i3.archive import ArchiveReader
    from skymap_scanner.i3.archive_writer import ArchiveWriter

__all__ = [
    "PARTICLE_CODECS",
    "Particle",
    "ParticleFitStatus",
    "ParticleLocation",
    "ParticleShape",
    "ParticleVector",
    "read_particle",
    "write_particle",
]

_KINEMATICS = struct.Struct("<dddd")
_TYPES = struct.Struct("<iii")
#: Bytes of the smallest stored particle, used to check counts.
MIN_PARTICLE_BYTES: Final = 60


class ParticleShape(IntEnum):
    """What a particle looks like."""

    NULL = 0
    PRIMARY = 10
    TOP_SHOWER = 20
    CASCADE = 30
    CASCADE_SEGMENT = 31
    INFINITE_TRACK = 40
    STARTING_TRACK = 50
    STOPPING_TRACK = 60
    CONTAINED_TRACK = 70
    MC_TRACK = 80
    MC_TRACK_SEGMENT = 81
    MC_TRACK_SEGMENT_SLOW = 82
    DARK = 90


class ParticleFitStatus(IntEnum):
    """How the fit that made a particle ended."""

    NOT_SET = -1
    OK = 0
    GENERAL_FAILURE = 10
    INSUFFICIENT_HITS = 20
    FAILED_TO_CONVERGE = 30
    MISSING_SEED = 40
    INSUFFICIENT_QUALITY = 50


class ParticleLocation(IntEnum):
    """Where a simulated particle is."""

    ANYWHERE = 0
    ICE_TOP = 10
    IN_ICE = 20
    IN_ACTIVE_VOLUME = 30


@dataclass(frozen=True, slots=True)
class Particle:
    """A particle; quantities that are not set are NaN.

    Parameters
    ----------
    minor_id, major_id : int
        Together they name the particle.
    pdg : int
        Particle Data Group code; 0 = unknown, -2000001001... = IceCube's own for energy losses.
    shape, fit_status, location : int
        See `ParticleShape`, `ParticleFitStatus`, `ParticleLocation`; unknown numbers are kept.
    position : Position
        A point of the track [m].
    direction : Direction
        Where it comes from [rad].
    time : float
        When it is at `position` [ns].
    energy, length, speed : float
        [GeV], [m], [m/ns].
    """

    minor_id: int
    major_id: int
    pdg: int
    shape: int
    fit_status: int
    position: Position
    direction: Direction
    time: float
    energy: float
    length: float
    speed: float
    location: int


@dataclass(frozen=True, slots=True)
class ParticleVector:
    """A list of particles."""

    particles: tuple[Particle, ...]


#: PDG codes of the particle codes of I3Particle versions 3 and 4.
_PDG_OF_OLD_CODE: Final[dict[int, int]] = {
    1: 22, 2: -11, 3: 11, 5: -13, 6: 13, 7: 111, 8: 211, 9: -211, 10: 130, 11: 321, 12: -321,
    13: 2112, 14: 2212, 15: -2212, 16: 310, 131: -15, 132: 15, 66: 12, 67: -12, 68: 14, 69: -14,
    133: 16, 134: -16, -1001: -2000001001, -1002: -2000001002, -1003: -2000001003,
    -1004: -2000001004, -1005: -2000001005, -1006: -2000001006, -1111: -2000001111,
}  # fmt: skip  # a table, five times as long with one pair per line

#: PDG codes of the RDMC particle codes of I3Particle versions 0 to 2.
_PDG_OF_RDMC_CODE: Final[dict[int, int]] = {
    1: 22, 2: -11, 3: 11, 5: -13, 6: 13, 7: 111, 8: 211, 9: -211, 11: 321, 12: -321, 14: 2212,
    15: -2212, 33: -15, 34: 15, 201: 12, 204: -12, 202: 14, 205: -14, 203: 16, 206: -16,
    1001: -2000001001, 1002: -2000001002, 1003: -2000001003, 1004: -2000001004,
    1005: -2000001005, 1006: -2000001006,
}  # fmt: skip  # same

#: Nucleons of the most common isotope of hydrogen to iron; RDMC codes give the charge only.
_COMMON_MASS_NUMBERS: Final = (
    1, 4, 7, 9, 11, 12, 14, 16, 19, 20, 23, 24, 27, 28, 31, 32, 35, 40, 39, 40, 45, 48, 51, 52, 55,
    56,
)  # fmt: skip  # same


def _nucleus(mass_number: int, charge_number: int) -> int:
    return 1_000_000_000 + 10_000 * charge_number + 10 * mass_number


def _pdg_code(code: int, version: int) -> int:
    """Return the PDG code of a stored type; 0 for codes without one."""
    if version >= 5:
        return code
    if version >= 3:
        if code in _PDG_OF_OLD_CODE:
            return _PDG_OF_OLD_CODE[code]
        return _nucleus(*divmod(code, 100)) if 200 <= code < 30_000 else 0
    if code in _PDG_OF_RDMC_CODE:
        return _PDG_OF_RDMC_CODE[code]
    charge_number = code - 3000
    if not 1 <= charge_number <= len(_COMMON_MASS_NUMBERS):
        return 0
    return _nucleus(_COMMON_MASS_NUMBERS[charge_number - 1], charge_number)


def particle_content(reader: ArchiveReader, version: int) -> Particle:
    """Read the content of an I3Particle of any version."""
    reader.base()
    minor_id = reader.i32()
    major_id = reader.u64() if version > 1 else 0
    if version == 0:
        reader.take(8)  # parent and primary ids of the days before I3MCTree
    code, shape, fit_status = reader.unpack(_TYPES)
    position = read_position(reader)
    direction = read_direction(reader)
    time, energy, length, speed = reader.unpack(_KINEMATICS)
    if version == 0:
        reader.sequence("vector<I3Particle>", read_particle, MIN_PARTICLE_BYTES)
    location = reader.i32() if version > 0 else 0
    if version == 4:
        reader.take(16)
    return Particle(
        minor_id,
        major_id,
        _pdg_code(code, version),
        shape,
        fit_status,
        position,
        direction,
        time,
        energy,
        length,
        speed,
        location,
    )


def read_particle(reader: ArchiveReader) -> Particle:
    """Read an I3Particle member."""
    return reader.object("I3Particle", 5, particle_content)


def write_particle(writer: ArchiveWriter, particle: Particle) -> None:
    """Write an I3Particle member."""
    writer.begin("I3Particle")
    writer.base()
    _write_content(writer, particle)


def _write_content(writer: ArchiveWriter, obj: Particle) -> None:
    writer.i32(obj.minor_id)
    writer.u64(obj.major_id)
    writer.pack(_TYPES, obj.pdg, obj.shape, obj.fit_status)
    write_position(writer, obj.position)
    write_direction(writer, obj.direction)
    writer.pack(_KINEMATICS, obj.time, obj.energy, obj.length, obj.speed)
    writer.i32(obj.location)


def _read_vector(reader: ArchiveReader, _version: int) -> ParticleVector:
    reader.base()
    particles = reader.sequence("vector<I3Particle>", read_particle, MIN_PARTICLE_BYTES)
    return ParticleVector(tuple(particles))


def _write_vector(writer: ArchiveWriter, obj: ParticleVector) -> None:
    writer.sequence("vector<I3Particle>", obj.particles, write_particle)


#: How the classes of this module are stored.
PARTICLE_CODECS = (
    Codec("I3Particle", "I3Particle", 5, Particle, particle_content, _write_content),
    Codec("I3ParticleVect", "I3Vector<I3Particle>", 0, ParticleVector, _read_vector, _write_vector),
)
