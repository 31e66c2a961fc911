"""I3MCTree: what was simulated, a forest of particles."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3.codec import Codec
from skymap_scanner.i3.particle import (
    MIN_PARTICLE_BYTES,
    Particle,
    read_particle,
    write_particle,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from skymap_scanner.i3.archive import ArchiveReader
    from skymap_scanner.i3.archive_writer import ArchiveWriter

__all__ = ["MCTREE_CODECS", "MCTree"]

#: A chunk with this many bits is followed by another.
_CHUNK_BITS: Final = 65535
_NEUTRINOS: Final = frozenset({12, -12, 14, -14, 16, -16})
_U32 = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class MCTree:
    """Simulated particles in pre-order: each one before its children, siblings in order.

    Parameters
    ----------
    particles : tuple of Particle
    parents : tuple of int
        Index of the parent of each particle; -1 for roots.
    """

    particles: tuple[Particle, ...]
    parents: tuple[int, ...]

    def roots(self) -> tuple[Particle, ...]:
        """Return the particles without parents."""
        return tuple(
            p for p, parent in zip(self.particles, self.parents, strict=True) if parent < 0
        )

    def children(self, index: int) -> tuple[Particle, ...]:
        """Return the children of the particle number `index`."""
        return tuple(
            p for p, parent in zip(self.particles, self.parents, strict=True) if parent == index
        )

    def neutrino(self) -> int | None:
        """Return the index of the first root that is a neutrino, or None."""
        for index, (particle, parent) in enumerate(zip(self.particles, self.parents, strict=True)):
            if parent < 0 and particle.pdg in _NEUTRINOS:
                return index
        return None


class _Walk:
    """The walk through the tree that its bits describe."""

    def __init__(self) -> None:
        self.parents: list[int] = []
        self.current = -1
        self.slot_parent = -1
        self.is_child_slot = False
        self.is_over = False

    def fill(self) -> None:
        """Take a 1: the slot holds the next particle, whose first child is the next slot."""
        self.parents.append(self.slot_parent)
        self.current = self.slot_parent = len(self.parents) - 1
        self.is_child_slot = True

    def leave(self) -> None:
        """Take a 0: from first child to next sibling, from there to the parent's next sibling."""
        if not self.parents:
            self.is_over = True
        elif self.is_child_slot:
            self.is_child_slot = False
            self.slot_parent = self.parents[self.current]
        elif self.slot_parent < 0:
            self.is_over = True
        else:
            self.current = self.slot_parent
            self.slot_parent = self.parents[self.current]


def _bits_of(parents: tuple[int, ...]) -> Iterator[int]:
    """Yield the bits of the walk through a tree."""
    walk = _Walk()
    for parent in parents:
        while walk.slot_parent != parent:
            if walk.is_over:
                break
            yield 0
            walk.leave()
        if walk.is_over or walk.slot_parent != parent:
            raise FormatError("particles of a tree are not in pre-order", found=parent)
        yield 1
        walk.fill()
    while parents and not walk.is_over:
        yield 0
        walk.leave()


def _read_chunk(reader: ArchiveReader, n_bits: int) -> list[int]:
    n_words = reader.count(8)
    if n_bits > 64 * n_words:
        raise reader.error("a tree has fewer bits than it says", found=64 * n_words, wanted=n_bits)
    data = np.frombuffer(reader.take(8 * n_words), dtype=np.uint8)
    bits: list[int] = np.unpackbits(data, bitorder="little")[:n_bits].tolist()
    return bits


def _read_chunks(reader: ArchiveReader) -> MCTree:
    walk = _Walk()
    particles: list[Particle] = []
    while True:
        n_bits = reader.u32()
        if n_bits == 0:
            if reader.remaining == _U32.size:
                reader.count(8)  # the mask of an empty chunk
            break
        for bit in _read_chunk(reader, n_bits):
            if walk.is_over:
                raise reader.error("a tree goes on behind its end")
            if bit:
                walk.fill()
                particles.append(read_particle(reader))
            else:
                walk.leave()
        if n_bits != _CHUNK_BITS:
            break
    if particles and not walk.is_over:
        raise reader.error("a tree ends in the middle of its walk")
    return MCTree(tuple(particles), tuple(walk.parents))


def _read_recursive(reader: ArchiveReader) -> MCTree:
    """Read version 0: number of roots; then each particle with its number of children."""
    particles: list[Particle] = []
    parents: list[int] = []
    #: (parent, children still to come)
    open_nodes = [(-1, reader.count(MIN_PARTICLE_BYTES))]
    while open_nodes:
        parent, n_left = open_nodes.pop()
        if n_left == 0:
            continue
        open_nodes.append((parent, n_left - 1))
        particles.append(read_particle(reader))
        parents.append(parent)
        open_nodes.append((len(particles) - 1, reader.count(MIN_PARTICLE_BYTES)))
    return MCTree(tuple(particles), tuple(parents))


def _read(reader: ArchiveReader, version: int) -> MCTree:
    reader.base()
    return _read_chunks(reader) if version else _read_recursive(reader)


def _write(writer: ArchiveWriter, obj: MCTree) -> None:
    bits = list(_bits_of(obj.parents))
    particles = iter(obj.particles)
    if len(obj.particles) != len(obj.parents):
        raise FormatError("a tree needs a parent for each particle", found=len(obj.parents))
    # A walk that fills its last chunk is followed by an empty one.
    for start in range(0, len(bits) + 1, _CHUNK_BITS):
        chunk = bits[start : start + _CHUNK_BITS]
        words = np.packbits(np.array(chunk, dtype=np.uint8), bitorder="little").tobytes()
        words += bytes(-len(words) % 8)
        writer.u32(len(chunk))
        writer.u32(len(words) // 8)
        writer.raw(words)
        for bit in chunk:
            if bit:
                write_particle(writer, next(particles))


#: How the classes of this module are stored.
MCTREE_CODECS = (
    Codec("I3MCTree", "TreeBase::Tree<I3Particle, I3ParticleID>", 1, MCTree, _read, _write),
)
