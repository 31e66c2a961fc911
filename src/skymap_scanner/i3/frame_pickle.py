"""Frames as text: base64 of zlib of a pickled I3Frame, in the three forms that exist."""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from dataclasses import dataclass
from typing import Final, Literal

from skymap_scanner.exceptions import FormatError
from skymap_scanner.i3.frame import Frame
from skymap_scanner.i3.unpickle import unpickle_frame

__all__ = ["NEW_FORM", "PickleForm", "frame_from_text", "frame_to_text"]

#: The largest entry seen inflates to 1.8 MB.
MAX_INFLATED: Final = 64 << 20
#: Frames longer than this are written outside of the pickle's own framing (protocol 4).
_FRAMING_LIMIT: Final = 64 << 10
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class PickleForm:
    """How a frame is packed.

    Parameters
    ----------
    name : str
        "P2" as Python 2 wrote it, "P3" as Python 3 writes protocol 2, "P4" protocol 4.
    module : str
        Module that the pickle names for the class I3Frame.
    is_compressed : bool
        Whether zlib comes between pickle and base64.
    """

    name: Literal["P2", "P3", "P4"]
    module: str
    is_compressed: bool = True


#: Form of new messages: every IceTray can import the module and gets bytes.
NEW_FORM: Final = PickleForm("P3", "icecube.icetray")


def frame_from_text(
    text: object, *, check: bool = True, origin: str = ""
) -> tuple[Frame, PickleForm]:
    """Unpack one frame.

    Parameters
    ----------
    text : str
        Base64 of the (compressed) pickle.
    check : bool
        Verify the frame's checksum.
    origin : str
        Where the text comes from, for messages.

    Raises
    ------
    FormatError
        When the text is not exactly one packed frame.
    """
    if not isinstance(text, str):
        raise FormatError(
            "a frame is not text", place=origin or None, found=type(text).__name__, wanted="base64"
        )
    try:
        packed = _from_base64(text)
        is_compressed = not packed.startswith(b"\x80")
        pickled = _inflate(packed) if is_compressed else packed
        data, names = unpickle_frame(pickled)
        frame = Frame.from_bytes(data, check=check)
    except FormatError as error:
        if origin:
            raise error.at(origin) from error
        raise
    frame.origin = origin
    return frame, PickleForm(_form_of(pickled, names), _module_of(names), is_compressed)


def _form_of(pickled: bytes, names: tuple[tuple[str, str], ...]) -> Literal["P2", "P3", "P4"]:
    if pickled.startswith(b"\x80\x04"):
        return "P4"
    return "P2" if pickled.startswith(b"\x80\x02") and len(names) == 1 else "P3"


def _module_of(names: tuple[tuple[str, str], ...]) -> str:
    return next(module for module, name in names if name == "I3Frame")


def frame_to_text(frame: Frame, form: PickleForm = NEW_FORM) -> str:
    """Pack one frame; a frame that was read gives the text it came from."""
    pickled = _PICKLERS[form.name](frame.to_bytes(), form.module.encode("ascii"))
    packed = zlib.compress(pickled, 9) if form.is_compressed else pickled
    return base64.b64encode(packed).decode("ascii")


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError(
            "not base64", found=f"{len(text)} characters: {error}", wanted="a whole base64 text"
        ) from error


def _inflate(packed: bytes) -> bytes:
    machine = zlib.decompressobj()
    try:
        data = machine.decompress(packed, MAX_INFLATED)
    except zlib.error as error:
        raise FormatError(
            "damaged zlib stream",
            found=f"{len(packed)} bytes: {error}",
            wanted="a whole zlib stream, or a pickle",
        ) from error
    if machine.eof and not machine.unused_data:
        return data
    if machine.unconsumed_tail or len(data) >= MAX_INFLATED:
        raise FormatError(
            "a frame is too large",
            found=f"{len(packed)} bytes that become more than {MAX_INFLATED}",
            wanted=f"at most {MAX_INFLATED} bytes",
        )
    if machine.eof:
        raise FormatError(
            "bytes are left over behind a zlib stream",
            found=f"{len(machine.unused_data)} bytes",
            wanted="none",
        )
    raise FormatError(
        "a zlib stream ends too early",
        found=f"{len(packed)} bytes, which become {len(data)}",
        wanted="a whole zlib stream",
    )


def _pickle_p2(data: bytes, module: bytes) -> bytes:
    size = b"U" + bytes([len(data)]) if len(data) < 256 else b"T" + _U32.pack(len(data))
    return b"\x80\x02c" + module + b"\nI3Frame\nq\x01)Rq\x02}q\x03" + size + data + b"\x86b."


def _pickle_p3(data: bytes, module: bytes) -> bytes:
    text = data.decode("latin-1").encode("utf-8")
    head = b"\x80\x02c" + module + b"\nI3Frame\nq\x00)Rq\x01}q\x02c_codecs\nencode\nq\x03X"
    tail = b"q\x04X\x06\x00\x00\x00latin1q\x05\x86q\x06Rq\x07\x86q\x08b."
    return head + _U32.pack(len(text)) + text + tail


def _pickle_p4(data: bytes, module: bytes) -> bytes:
    head = b"\x8c" + bytes([len(module)]) + module + b"\x94\x8c\x07I3Frame\x94\x93\x94)R\x94}\x94"
    size = b"C" + bytes([len(data)]) if len(data) < 256 else b"B" + _U32.pack(len(data))
    tail = b"\x94\x86\x94b."
    if len(data) < _FRAMING_LIMIT:
        return b"\x80\x04" + _framed(head + size + data + tail)
    return b"\x80\x04" + _framed(head) + size + data + _framed(tail)


def _framed(opcodes: bytes) -> bytes:
    return b"\x95" + _U64.pack(len(opcodes)) + opcodes


_PICKLERS: Final = {"P2": _pickle_p2, "P3": _pickle_p3, "P4": _pickle_p4}
