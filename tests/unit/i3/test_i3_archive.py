"""Rules of archives that our own writer never uses: references, pointers, sizes and nesting."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from archive_bytes import Ids, top

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3 import I3Double, OMKey, OMKeyVector, RawObject
from skymap_scanner.i3.archive import MAX_DEPTH, ArchiveReader, NewerVersionError
from skymap_scanner.i3.registry import decode_object


def test_sizes_of_32_ones_are_followed_by_the_true_size() -> None:
    reader = ArchiveReader(b"\xff\xff\xff\xff" + struct.pack("<Q", 2) + b"ab")
    assert reader.text() == "ab"


def test_count_larger_than_the_data_fails_before_anything_is_allocated() -> None:
    for size in (struct.pack("<I", 2**31), b"\xff\xff\xff\xff" + struct.pack("<Q", 2**60)):
        with pytest.raises(FormatError, match="larger than the data"):
            ArchiveReader(size + b"abc").count(1)


def test_text_that_is_not_utf8_is_latin1() -> None:
    assert ArchiveReader(b"\x02\x00\x00\x00\xe4\xf6").text() == "äö"


def test_reference_gives_the_earlier_object() -> None:
    data = top(
        "I3VectorOMKey",
        0,
        b"\x00\x00\x03\x00\x00\x00"
        b"\x01\x02\x02\x00\x00\x00"
        + struct.pack("<iIB", 3, 4, 0)
        + struct.pack("<I", 2)
        + struct.pack("<IiIB", 3, 5, 6, 1),
    )
    assert decode_object(data) == OMKeyVector((OMKey(3, 4), OMKey(3, 4), OMKey(5, 6, 1)))


@pytest.mark.parametrize("identity", [0, 1, 7])
def test_reference_to_another_class_or_to_nothing_is_an_error(identity: int) -> None:
    data = top(
        "I3VectorOMKey", 0, b"\x00\x00\x01\x00\x00\x00\x01\x02" + struct.pack("<I", identity)
    )
    obj = decode_object(data)
    assert isinstance(obj, RawObject)
    assert "reference" in obj.reason or "never given" in obj.reason


def test_untracked_objects_have_no_id() -> None:
    data = top(
        "I3VectorOMKey",
        0,
        b"\x00\x00\x02\x00\x00\x00\x00\x02" + 2 * struct.pack("<iIB", 3, 4, 0),
    )
    assert decode_object(data) == OMKeyVector((OMKey(3, 4), OMKey(3, 4)))


def test_version_255_is_followed_by_the_true_version() -> None:
    reader = ArchiveReader(b"\x00\xff" + struct.pack("<Q", 300))
    with pytest.raises(NewerVersionError) as caught:
        reader.class_info("X", 5)
    assert caught.value.found == 300


def test_null_pointer_is_an_error() -> None:
    obj = decode_object(b"\x00\x01\xff\xff")
    assert isinstance(obj, RawObject)
    assert (obj.name, obj.version) == ("", -1)


def test_inner_pointers_are_null_new_or_repeated() -> None:
    kinds = {
        "Exp": (0, lambda r, _v: ("exp", r.u8())),
        "Gauss": (0, lambda r, _v: ("gauss", r.u8())),
    }
    data = (
        b"\x00\x01\xff\xff"  # class info of the pointer type, null
        b"\x05\x00\x03\x00\x00\x00Exp\x01\x00\x00\x00\x00\x00\x07"  # class id 5, object 0
        b"\x05\x00\x01\x00\x00\x00\x08"  # the same class, object 1
        b"\x05\x00\x00\x00\x00\x00"  # object 0 again
        b"\x06\x00\x05\x00\x00\x00Gauss\x00\x00\x09"  # another class, not tracked
    )
    reader = ArchiveReader(data)
    found = [reader.pointer("P", kinds.get) for _ in range(5)]
    assert found == [None, ("exp", 7), ("exp", 8), ("exp", 7), ("gauss", 9)]
    reader.end()


def test_pointer_without_a_class_name() -> None:
    reader = ArchiveReader(b"\x00\x01\x05\x00\x01\x00\x00\x00\x00\x00\x07")
    assert reader.pointer("P", lambda _name: (0, lambda r, _v: r.u8())) == 7


def test_pointer_to_an_unknown_class_is_an_error() -> None:
    reader = ArchiveReader(b"\x00\x01\x05\x00\x03\x00\x00\x00Xyz")
    with pytest.raises(NewerVersionError, match="unknown class"):
        reader.pointer("P", lambda _name: None)


def test_depth_is_bounded() -> None:
    def deeper(reader: ArchiveReader, _version: int) -> object:
        return reader.object(f"C{reader.position}", 0, deeper)

    with pytest.raises(FormatError, match="nested"):
        ArchiveReader(b"\0\0" * (2 * MAX_DEPTH)).object("C", 0, deeper)


def test_maps_with_unsorted_or_repeated_keys_are_refused() -> None:
    for keys in ([(2, 2), (1, 2)], [(1, 2), (1, 2)]):
        ids = Ids()
        content = b"\x00\x00\x02\x00\x00\x00\x00\x00" + ids(b"\x01\x02")
        content += struct.pack("<iIB", *keys[0], 0) + b"\x00\x00\x00\x00\x00\x00"
        content += ids() + struct.pack("<iIB", *keys[1], 0) + b"\x00\x00\x00\x00"
        assert isinstance(decode_object(top("I3RecoPulseSeriesMap", 0, content)), RawObject)


def test_pulse_references_cannot_multiply_beyond_the_data() -> None:
    """A tracked vector that is referred to again and again would need memory without end."""
    ids = Ids()
    n_keys, n_pulses = 200, 400
    content = b"\x00\x00" + struct.pack("<I", n_keys) + b"\x00\x00"
    content += ids(b"\x01\x02") + struct.pack("<iIB", 0, 1, 0)
    vector_id = ids.next
    content += ids(b"\x01\x00") + struct.pack("<I", n_pulses)
    pulse = np.zeros(17, np.uint8).tobytes()
    content += ids(b"\x01\x03") + pulse + b"".join(ids() + pulse for _ in range(n_pulses - 1))
    for string in range(1, n_keys):
        content += ids() + struct.pack("<iIB", string, 1, 0) + struct.pack("<I", vector_id)
    obj = decode_object(top("I3RecoPulseSeriesMap", 0, content))
    assert isinstance(obj, RawObject)
    assert "more pulses than bytes" in obj.reason


def test_bool_must_be_0_or_1() -> None:
    assert isinstance(decode_object(top("I3Bool", 0, b"\x02")), RawObject)


def test_untracked_top_object() -> None:
    data = b"\x00\x01\x02\x00\x08\x00\x00\x00I3Double\x00\x00\x01\x00\x00\x00\x00\x00"
    assert decode_object(data + struct.pack("<d", 2.5)) == I3Double(2.5)
