"""The bits of I3MCTree."""

from __future__ import annotations

import dataclasses
import struct

import pytest

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3 import Direction, MCTree, Particle, Position, RawObject, mctree
from skymap_scanner.i3.registry import decode_object, encode_object

_HEAD_BYTES = 20 + len("I3MCTree")


def tree(*parents: int) -> MCTree:
    return MCTree(tuple(particle(number) for number in range(len(parents))), parents)


def particle(number: int) -> Particle:
    return Particle(number, 7, 13, 0, 0, Position(0, 0, 0), Direction(0, 0), 0.0, 0.0, 0.0, 0.0, 20)


@pytest.mark.parametrize(
    ("parents", "bits"),
    [
        ((-1,), "100"),
        ((-1, 0, 0), "1101000"),
        ((-1, -1), "10100"),
        ((-1, 0, 1, -1), "111000100"),
    ],
)
def test_bits_of_small_trees(parents: tuple[int, ...], bits: str) -> None:
    data = encode_object(tree(*parents))
    n_bits, n_words, word = struct.unpack_from("<IIQ", data, _HEAD_BYTES)
    assert (n_bits, n_words) == (len(bits), 1)
    assert f"{word:064b}"[::-1].rstrip("0") == bits.rstrip("0")
    assert decode_object(data) == tree(*parents)


def test_empty_tree() -> None:
    assert decode_object(encode_object(tree())) == tree()
    assert decode_object(encode_object(tree())[:-4]) == tree()


@pytest.mark.parametrize("n", [3, 4, 5, 40])
def test_long_chains_go_on_in_further_chunks(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of n takes 2n + 1 bits; 9 bits are then a full chunk, behind which a 0 follows."""
    assert mctree._CHUNK_BITS == 65535
    monkeypatch.setattr(mctree, "_CHUNK_BITS", 9)
    long = tree(*range(-1, n - 1))
    data = encode_object(long)
    assert struct.unpack_from("<I", data, _HEAD_BYTES)[0] == min(2 * n + 1, 9)
    assert decode_object(data) == long


def test_relatives() -> None:
    family = tree(-1, 0, 0, -1)
    assert [p.minor_id for p in family.roots()] == [0, 3]
    assert [p.minor_id for p in family.children(0)] == [1, 2]
    assert family.neutrino() is None
    neutrino = dataclasses.replace(particle(9), pdg=-14)
    assert MCTree((particle(0), neutrino), (-1, -1)).neutrino() == 1


def test_order_other_than_pre_order_is_refused() -> None:
    for parents in ((-1, 0, 0, 1), (0,), (-1, 5)):
        with pytest.raises(FormatError, match="pre-order"):
            encode_object(tree(*parents))


def test_damaged_walks_are_refused() -> None:
    data = bytearray(encode_object(tree(-1)))
    for word in (0b0001, 0b1001):
        data[_HEAD_BYTES + 8] = word
        data[_HEAD_BYTES] = 2 if word == 1 else 4
        assert isinstance(decode_object(bytes(data)), RawObject)
