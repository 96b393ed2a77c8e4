"""Sample entries (`stsd`, ISO/IEC 14496-12 s8.5.2): what a track is coded with, and how RFC 6381 names that.

Only the first entry is described, as every player plays only that one's kind; all are looked at for encryption.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from media_service.errors import BrokenMedia
from media_service.mp4.boxes import Box, children, fields

ENCRYPTED = {
    "encv",
    "enca",
    "enct",
    "encs",
    "drmi",
    "drms",
    "drmt",
}  # ISO/IEC 23001-7 s4.1; FairPlay's own names

_VIDEO_FIELDS = 78  # bytes before the boxes inside a visual sample entry (s12.1.3)
_AUDIO_FIELDS = 28  # the same of an audio sample entry (s12.2.3)
_QUICKTIME_FIELDS = {1: 16, 2: 36}  # bytes more in QuickTime's sound descriptions, by their version


@dataclass(frozen=True, slots=True)
class SampleEntry:
    """What a track is coded with. `codec` is the RFC 6381 name, or `format` where that is all there is to say.

    `width` and `height` are in pixels as coded, `sample_rate` in Hz; 0 where they do not apply.
    """

    format: str
    codec: str
    width: int = 0
    height: int = 0
    channels: int = 0
    sample_rate: int = 0
    encrypted: bool = False


def read_sample_entry(data: bytes, stsd: Box, handler: str) -> SampleEntry:
    """The entry in the `stsd` box of a track whose handler is "vide", "soun" or another. Raises BrokenMedia."""
    entries = _entries(data, stsd)
    first, inside = entry_boxes(data, stsd, handler)
    width = height = channels = rate = 0
    if handler == "vide" and first.size - first.header_size >= _VIDEO_FIELDS:
        width, height = fields("HH", data, first, 24)
    elif handler == "soun" and first.size - first.header_size >= _AUDIO_FIELDS:
        channels, rate, _ = _sound(data, first, stsd)
    encrypted = any(entry.type in ENCRYPTED for entry in entries) or any(box.type == "sinf" for box in inside)
    payloads = {box.type: data[box.payload_start : box.stop] for box in reversed(inside)}
    return SampleEntry(first.type, _codec(first.type, payloads), width, height, channels, rate, encrypted)


def entry_boxes(data: bytes, stsd: Box, handler: str) -> tuple[Box, list[Box]]:
    """The first entry in the `stsd` box, and the boxes inside it, those in QuickTime's `wave` at the end. Raises BrokenMedia."""
    first = _entries(data, stsd)[0]
    inside: list[Box] = []
    if handler == "vide" and first.size - first.header_size >= _VIDEO_FIELDS:
        inside = list(_tolerant(data, first, _VIDEO_FIELDS))
    elif handler == "soun" and first.size - first.header_size >= _AUDIO_FIELDS:
        *_, skip = _sound(data, first, stsd)
        inside = list(_tolerant(data, first, skip))
        inside += [box for wave in inside if wave.type == "wave" for box in _tolerant(data, wave)]
    return first, inside


def _entries(data: bytes, stsd: Box) -> list[Box]:
    (count,) = fields("I", data, stsd, 4)
    # The count is not believed, only the boxes that are there; a file has one entry, or a handful.
    entries = [entry for _, entry in zip(range(count), _tolerant(data, stsd, 8), strict=False)]
    if not entries:
        raise BrokenMedia("a track does not say what it is coded with")
    return entries


def _tolerant(data: bytes, box: Box, skip: int = 0) -> Iterator[Box]:
    """The boxes inside, up to the first thing that is none: old writers leave all sorts of bytes in sample entries."""
    try:
        yield from children(data, box, skip)
    except BrokenMedia:
        return


def _sound(data: bytes, entry: Box, stsd: Box) -> tuple[int, int, int]:
    """Channels, sample rate in Hz, and how many bytes of fields there are before the boxes."""
    version, channels, rate = fields("8xH6xH6xI", data, entry)
    # ISO's own version 1 entry (s12.2.3) has no more fields; it is told from QuickTime's by the version of the stsd.
    more = _QUICKTIME_FIELDS.get(version, 0) if fields("B", data, stsd) == (0,) else 0
    if version == 2 and more and entry.size - entry.header_size >= _AUDIO_FIELDS + more:
        exact, channels = fields("dI", data, entry, _AUDIO_FIELDS + 4)
        return channels, int(exact) if 0 < exact < 1e9 else 0, _AUDIO_FIELDS + more
    return channels, rate >> 16, _AUDIO_FIELDS + more


def _codec(name: str, payloads: dict[str, bytes]) -> str:
    """The RFC 6381 name from the codec's own configuration box; the plain name where there is none."""
    try:
        match name:
            case "avc1" | "avc3" if "avcC" in payloads:  # RFC 6381 s3.3: profile, constraints, level
                return f"{name}.{payloads['avcC'][1:4].hex()}"
            case "hvc1" | "hev1" if "hvcC" in payloads:
                return f"{name}.{_hevc(payloads['hvcC'])}"
            case "av01" if "av1C" in payloads:
                return f"{name}.{_av1(payloads['av1C'])}"
            case "vp09" if "vpcC" in payloads:
                profile, level, depth = struct.unpack_from("BBB", payloads["vpcC"], 4)
                return f"{name}.{profile:02}.{level:02}.{depth >> 4:02}"
            case "mp4a" | "mp4v" if "esds" in payloads:
                return f"{name}.{_mpeg4(payloads['esds'])}"
            case "Opus" | "fLaC":  # browsers ask for these in lower case only
                return name.lower()
    except (struct.error, IndexError):
        pass  # a cut configuration box: the name alone is still true
    return name


def _hevc(config: bytes) -> str:
    """ISO/IEC 14496-15 s E.3: profile, compatibility (bits reversed), tier and level, constraints without end zeros."""
    general, compatible, constraints, level = struct.unpack_from(">xBI6sB", config)
    space = ("", "A", "B", "C")[general >> 6]
    flipped = int(f"{compatible:032b}"[::-1], 2)
    limits = "".join(f".{byte:X}" for byte in constraints.rstrip(b"\0"))
    return f"{space}{general & 31}.{flipped:X}.{'H' if general & 32 else 'L'}{level}{limits}"


def _av1(config: bytes) -> str:
    """AV1 in ISOBMFF s5: profile, level and tier, bit depth."""
    profile, level = config[1] >> 5, config[1] & 31
    tier = "H" if config[2] & 128 else "M"
    depth = (12 if config[2] & 32 else 10) if config[2] & 64 else 8
    return f"{profile}.{level:02}{tier}.{depth:02}"


def _mpeg4(esds: bytes) -> str:
    """RFC 6381 s3.3: the object type, and for MPEG-4 audio (40) the audio object type (ISO/IEC 14496-3 s1.6.2.1)."""
    kind, specific = decoder_config(esds)
    if kind != 0x40:
        return f"{kind:02x}"
    if not specific:
        raise IndexError(kind)
    bits = int.from_bytes(specific[:2], "big")
    audio = bits >> 11
    return f"40.{audio if audio != 31 else 32 + (bits >> 5 & 63)}"


def decoder_config(esds: bytes) -> tuple[int, bytes]:
    """The object type and the decoder's own configuration from the payload of an `esds` box (ISO/IEC 14496-1 s7.2.6).

    The configuration is empty where there is none. Raises IndexError for a payload that is cut.
    """
    at, _ = _descriptor(esds, 4, 3)
    flags = esds[at + 2]
    at += 3 + (2 if flags & 0x80 else 0)
    at += 1 + esds[at] if flags & 0x40 else 0
    at, _ = _descriptor(esds, at + (2 if flags & 0x20 else 0), 4)
    kind = esds[at]
    try:
        specific, size = _descriptor(esds, at + 13, 5)
    except IndexError:
        return kind, b""
    return kind, esds[specific : specific + size]


def _descriptor(data: bytes, at: int, tag: int) -> tuple[int, int]:
    """Where the content of the descriptor `tag` at `at` begins, after its length of one to four bytes, and that length."""
    if data[at] != tag:
        raise IndexError(tag)
    size = 0
    for length in range(1, 5):
        size = size << 7 | data[at + length] & 0x7F
        if data[at + length] < 0x80:
            return at + length + 1, size
    raise IndexError(tag)
