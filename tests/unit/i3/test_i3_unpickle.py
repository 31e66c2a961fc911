"""Pickles: forms of frames, and everything that must not run or fill the memory."""

from __future__ import annotations

import base64
import os
import pickle
import struct
import sys
import types
import zlib
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pytest

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3 import Frame, I3Int, RawObject, frame_pickle
from skymap_scanner.i3.frame_pickle import PickleForm, frame_from_text, frame_to_text
from skymap_scanner.i3.unpickle import unpickle_frame, unpickle_plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EMPTY_G = bytes.fromhex("5b 69 33 5d 06 00 00 00 00 00 47 00 00 00 00 ea 64 27 9f")
#: The first frame of a real event, and the same as we write it (zlib streams of zlib 1.2).
P2_TEXT = "eNprYErOTE5NLk1K1QPSJUWJlVyexm5FibmpXIWMmkGFTLWFzKHC0ZnGsWwMIOAOIl6lqM9vS9IDADUJENQ="
P3_TEXT = (
    "eNprYErOTE5NLk1K1QPSJUWJlVyexm5FibmpXIUMmkGFjLWFTMnxyfkpqcnFXKl5IAZXIXOEKAMDQ3SmcSwbAwi4g4"
    "jDq1LUD80vZIkAieUklmTmGRaythWyBRWytxVyJOkBAKsxHhY="
)
P2_EMPTY = b"\x80\x02cicecube.icetray\nI3Frame\nq\x01)Rq\x02}q\x03U\x13" + EMPTY_G + b"\x86b."
FORMS = [
    PickleForm(name, module, is_compressed)
    for name in get_args(Literal["P2", "P3", "P4"])
    for module in ("icecube.icetray", "icecube._icetray")
    for is_compressed in (True, False)
]


def frame(n_bytes: int = 0) -> Frame:
    result = Frame("P")
    result.put("Number", I3Int(7))
    random = np.random.default_rng(1)
    result.put("Noise", RawObject("Noise", 0, random.bytes(n_bytes + 1)))
    return result


def text_of(pickled: bytes) -> str:
    return base64.b64encode(zlib.compress(pickled, 9)).decode()


def test_packed_frame_of_a_real_event() -> None:
    read, form = frame_from_text(P2_TEXT)
    assert read.to_bytes() == EMPTY_G
    assert form == PickleForm("P2", "icecube.icetray")
    assert zlib.decompress(base64.b64decode(frame_to_text(read, form))) == P2_EMPTY


def test_packed_frame_as_we_write_it() -> None:
    pickled = zlib.decompress(base64.b64decode(frame_to_text(Frame("G"))))
    assert pickled == zlib.decompress(base64.b64decode(P3_TEXT))


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("n_bytes", [0, 300, 70_000])
def test_every_form_comes_back_as_it_was(form: PickleForm, n_bytes: int) -> None:
    text = frame_to_text(frame(n_bytes), form)
    read, found = frame_from_text(text)
    assert read.to_bytes() == frame(n_bytes).to_bytes()
    assert found == form
    assert frame_to_text(read, found) == text


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("n_bytes", [0, 300, 70_000])
def test_forms_are_those_of_python_itself(
    protocol: int, n_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pickle a class that pickles as IceTray's does, with Python's own pickler."""
    module = types.ModuleType("icecube._icetray")

    class I3Frame:
        def __init__(self, content: bytes = b"") -> None:
            self.content = content

        def __reduce__(self) -> tuple[object, ...]:
            return I3Frame, (), ({}, self.content)

    I3Frame.__module__, I3Frame.__qualname__ = "icecube._icetray", "I3Frame"
    module.I3Frame = I3Frame  # type: ignore[attr-defined]  # a module made here
    monkeypatch.setitem(sys.modules, "icecube", types.ModuleType("icecube"))
    monkeypatch.setitem(sys.modules, "icecube._icetray", module)
    pickled = pickle.dumps(I3Frame(frame(n_bytes).to_bytes()), protocol=protocol)
    read, form = frame_from_text(text_of(pickled))
    assert read.to_bytes() == frame(n_bytes).to_bytes()
    if protocol in (2, 4):
        assert form.name == ("P3" if protocol == 2 else "P4")
        assert frame_to_text(read, form) == text_of(pickled)


class Exploit:
    """Would create a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_that_a_pickle_names_is_run(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "owned"
    pickled = pickle.dumps(Exploit(path), protocol=protocol)
    assert b"system" in pickled
    inside = pickle.dumps({"value": [Exploit(path)]}, protocol)
    attacks: list[Callable[[], object]] = [
        lambda: unpickle_plain(pickled),
        lambda: unpickle_frame(pickled),
        lambda: frame_from_text(text_of(pickled)),
        lambda: unpickle_plain(inside),
    ]
    for attack in attacks:
        with pytest.raises(FormatError, match=r"not run|too much"):
            attack()
    assert not path.exists()
    pickle.loads(pickled)  # noqa: S301  # the exploit works where it may
    assert path.exists()


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
        b"\x80\x02ccodecs\nencode\n.",
        b"\x80\x02c_codecs\ndecode\n.",
        b"\x80\x02cicecube.icetray\nI3Frame.__init__\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"\x80\x02(i__main__\nX\n.",
        b"\x80\x02(cos\nsystem\no.",
        b"\x80\x02P123\n.",
        b"\x80\x02K\x01Q.",
        b"\x80\x02\x82\x01.",
        b"\x80\x05\x97.",
        b"\x80\x02cicecube.icetray\nI3Frame\n)\x81.",
        b"\x80\x02K\x012.",
        b"\x80\x02cicecube.icetray\nI3Frame\n" * 3 + b".",
    ],
)
def test_other_names_and_opcodes_are_refused(pickled: bytes) -> None:
    for unpickle in (unpickle_plain, unpickle_frame):
        with pytest.raises(FormatError):
            unpickle(pickled)


def test_messages_may_not_even_name_frames() -> None:
    with pytest.raises(FormatError, match="not run"):
        unpickle_plain(P2_EMPTY)


@pytest.mark.parametrize(
    "pickled",
    [
        P2_EMPTY.replace(b"}q\x03", b"}q\x03U\x01aU\x01bs"),  # an instance dict with content
        P2_EMPTY.replace(b")Rq\x02", b"K\x01\x85Rq\x02"),  # a constructor argument
        P2_EMPTY.replace(b"\x86b.", b"\x86."),  # not built
        P2_EMPTY.replace(b"\x86b.", b"0b."),
        P2_EMPTY.replace(b"U\x13" + EMPTY_G, b"K\x05"),
        P2_EMPTY.replace(b"U\x13" + EMPTY_G, b"X\x03\x00\x00\x00\xe2\x82\xac"),
        P2_EMPTY.replace(EMPTY_G, b"?" * 19),
        P2_EMPTY[:-1],
        b"\x80\x02cicecube.icetray\nI3Frame\n.",
        b"\x80\x02cicecube.icetray\nI3Frame\n}b.",
        b"\x80\x02c_codecs\nencode\n}U\x01aU\x01bsb.",
        b"\x80\x02c_codecs\nencode\nN}U\x0c__defaults__)s\x86b.",
        b"\x80\x02c_codecs\nencode\nK\x01\x85R.",
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x06\x00\x00\x00utf-16\x86R.",
        b"\x80\x02N.",
        b"",
    ],
)
def test_pickles_that_are_not_exactly_one_frame_are_refused(pickled: bytes) -> None:
    with pytest.raises(FormatError):
        frame_from_text(text_of(pickled))
    assert frame_from_text(text_of(P2_EMPTY))[0].stop == "G"


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02]r\xff\xff\xff\x7f.",  # memo index of 2^31
        b"\x80\x02]p99999999999\n.",
        b"\x80\x02X\xff\xff\xff\x7fabc.",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"\x80\x02L" + b"9" * 10_000 + b"L\n.",
        b"\x80\x02" + b"N\x85" * 5000 + b".",
        b"\x80\x02}" + b"N\x85" * 5000 + b"Ns.",
        b"\x80\x02" + b"]" * 300 + b"a" * 299 + b".",
        b"\x80\x02" + b"]" * 300_000 + b".",
        b"\x80\x02]q\x00h\x00a.",  # a list that holds itself
        b"\x80\x02\x8b\xff\xff\xff\x7f1.",
    ],
)
def test_pickles_that_would_fill_memory_or_stack_are_refused(pickled: bytes) -> None:
    with pytest.raises(FormatError):
        unpickle_plain(pickled)


def test_lists_of_lists_of_the_same_lists_are_refused() -> None:
    """Ten references to the level below, twenty times: small as objects, huge as a document."""
    level: list[object] = ["x"]
    for _ in range(20):
        level = [level] * 10
    with pytest.raises(FormatError, match="too large"):
        unpickle_plain(pickle.dumps(level, protocol=3))


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_plain_messages_come_back(protocol: int) -> None:
    document = {"a": [1, -2.5, None, True, "ä"], "b": {"c": ["x", "y" * 300]}, "n": 2**62}
    assert unpickle_plain(pickle.dumps(document, protocol=protocol)) == document


def test_messages_of_python_2_come_back() -> None:
    assert unpickle_plain(b"\x80\x02}q\x01U\x01aq\x02U\x02\xe4\xf6s.") == {"a": "äö"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("####", "base64"),
        ("abc", "base64"),
        ("\u20ac", "base64"),
        (P2_TEXT[:40], "too early"),
        (P2_TEXT[:-8] + "AAAAAAA=", "zlib"),
        (base64.b64encode(b"").decode(), "too early"),
        (base64.b64encode(zlib.compress(P2_EMPTY) + b"x").decode(), "left over"),
        (base64.b64encode(b"plain text").decode(), "zlib"),
        (5, "not text"),
        (None, "not text"),
    ],
)
def test_damaged_text_is_named(text: object, reason: str) -> None:
    with pytest.raises(FormatError, match=reason) as caught:
        frame_from_text(text, origin="frame 3 (D)")
    assert str(caught.value).startswith("frame 3 (D): ")


def test_inflated_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert frame_pickle.MAX_INFLATED == 64 << 20
    monkeypatch.setattr(frame_pickle, "MAX_INFLATED", 1 << 20)
    for size in (1 << 20, 2 << 20):
        with pytest.raises(FormatError, match="too large" if size > 1 << 20 else "damaged"):
            frame_from_text(text_of(bytes(size)))


def test_wrong_checksum_is_found_unless_switched_off() -> None:
    bad = P2_EMPTY.replace(EMPTY_G, EMPTY_G[:-1] + b"\0")
    with pytest.raises(FormatError, match="checksum"):
        frame_from_text(text_of(bad))
    read, _ = frame_from_text(text_of(bad), check=False)
    assert struct.unpack("<I", read.to_bytes()[-4:]) != struct.unpack("<I", EMPTY_G[-4:])


def test_bytes_behind_a_pickle_are_refused() -> None:
    with pytest.raises(FormatError, match="left over behind a pickle"):
        unpickle_plain(pickle.dumps([1]) + b"c")


def test_numbers_that_no_message_holds_are_refused() -> None:
    # A dict of multiples of 2**61 - 1 is one long chain: hashing 90,000 of them took a minute.
    with pytest.raises(FormatError, match="too large a number"):
        unpickle_plain(pickle.dumps({(2**61 - 1) * 9: 0}))
