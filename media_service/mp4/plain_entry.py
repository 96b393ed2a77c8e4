"""The source's own sample description as a fragmented MP4 for all players has it: one plain ISO entry, nothing else in it.

Writers put much into an `stsd` (ISO/IEC 14496-12 s8.5.2) that players of fragments stumble over: QuickTime's sound
descriptions, several entries, encoder names, gamma and clean aperture. What decoding needs is a handful of boxes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from media_service.mp4.boxes import Box, build_box, build_full_box, children, column, fields, require
from media_service.mp4.sample_entry import decoder_config, entry_boxes

# Sample entries -> what we call them. avc3 and hev1 say that parameter sets may come with the samples; where the entry has
# them as well, the plain name is true, and Safari plays only that.
_PICTURES = {"avc1": "avc1", "avc3": "avc1", "hvc1": "hvc1", "hev1": "hvc1", "av01": "av01", "vp09": "vp09"}
_CONFIGS = {
    "avc1": "avcC",
    "hvc1": "hvcC",
    "av01": "av1C",
    "vp09": "vpcC",
}  # the boxes that set up their decoders
_KEPT = ("mdcv", "clli")  # the light of the mastering display and of the content (s12.1.6-7)
_HEVC_SETS = {32, 33, 34}  # VPS, SPS and PPS (ITU-T H.265 s7.4.2.2)
_ANGLES = {(1, 0, 0, 1): 0, (0, 1, -1, 0): 90, (-1, 0, 0, -1): 180, (0, -1, 1, 0): 270}  # clockwise
_AAC = 0x40  # objectTypeIndication of MPEG-4 audio (ISO/IEC 14496-1 s7.2.6.6)
_AUDIO_STREAM = 5 << 2 | 1  # streamType, and a bit that is always set


def find_trak(moov: bytes, track_id: int) -> Box | None:
    """The `trak` of that number in a whole `moov`; None where there is none."""
    for trak in children(moov, require(moov, "moov")):
        if trak.type == "trak":
            tkhd = require(moov, "tkhd", within=trak)
            if fields("I", moov, tkhd, 20 if fields("B", moov, tkhd)[0] else 12) == (track_id,):
                return trak
    return None


def turn(moov: bytes, trak: Box) -> int | None:
    """By how many degrees clockwise a player turns the picture (0, 90, 180, 270); None when it also mirrors or skews it."""
    tkhd = require(moov, "tkhd", within=trak)
    a, b, _, c, d, *_ = fields("9i", moov, tkhd, 52 if fields("B", moov, tkhd)[0] else 40)
    if any(number % 0x10000 for number in (a, b, c, d)):
        return None
    return _ANGLES.get((a >> 16, b >> 16, c >> 16, d >> 16))


def uses_one_entry(moov: bytes, trak: Box, *, fragmented: bool) -> bool:
    """Whether all samples are described by the first entry of the `stsd` (s8.7.4: each chunk says by which).

    Fragments say so for themselves; there only a single entry is sure.
    """
    stbl = require(moov, "mdia", "minf", "stbl", within=trak)
    _, entries = fields("II", moov, require(moov, "stsd", within=stbl))
    if entries == 1:
        return True
    stsc = require(moov, "stsc", within=stbl)
    _, count = fields("II", moov, stsc)
    return not fragmented and set(column("I", moov, stsc, 8, 3 * count)[2::3]) == {1}


def plain_picture(
    moov: bytes, trak: Box, *, sample_aspect: tuple[int, int] = (1, 1), full_range: bool = False
) -> bytes | None:
    """The `stsd` of a picture track with one plain entry; None when its decoder cannot be set up from the entry alone.

    `sample_aspect` is what the picture has to be stretched by. `full_range` is believed where QuickTime's `colr` does not
    say.
    """
    stsd = require(moov, "mdia", "minf", "stbl", "stsd", within=trak)
    entry, boxes = entry_boxes(moov, stsd, "vide")
    name = _PICTURES.get(entry.type, "")
    config = _payload(moov, boxes, _CONFIGS.get(name, ""))
    if config is None:
        return None
    size = fields("HH", moov, entry, 24)
    inside = _colours(moov, boxes, full_range=full_range)
    inside += (moov[box.start : box.stop] for box in boxes if box.type in _KEPT)
    return picture_stsd(name, config, (size[0], size[1]), sample_aspect=sample_aspect, inside=inside)


def picture_stsd(
    name: str,
    config: bytes,
    size: tuple[int, int],
    *,
    sample_aspect: tuple[int, int] = (1, 1),
    inside: Iterable[bytes] = (),
) -> bytes | None:
    """The `stsd` of a picture with one entry; None when its decoder cannot be set up from that alone.

    `name` is "avc1", "hvc1", "av01" or "vp09", `config` what is in the box that sets up its decoder. `size` is width and
    height in pixels as coded, to be stretched by `sample_aspect`; `inside` are whole boxes that describe the picture further.
    """
    if name == "avc1" and not _has_avc_sets(config):
        return None
    payload = _with_complete_sets(config) if name == "hvc1" else config
    if payload is None:
        return None
    boxes = [build_box(_CONFIGS[name], payload)]
    if sample_aspect[0] != sample_aspect[1]:
        boxes.append(build_box("pasp", struct.pack(">II", *sample_aspect)))
    return pictures_stsd(name, size, *boxes, *inside)


def pictures_stsd(name: str, size: tuple[int, int], *inside: bytes) -> bytes:
    """The `stsd` of pictures of that size (pixels) with one entry, and these boxes in it."""
    # s12.1.3: 72 dpi both ways, one frame per sample, no name, 24 bits of colour
    head = bytes(6) + b"\0\1" + bytes(16)
    head += struct.pack(">HHIIIH32sHh", *size, 0x480000, 0x480000, 0, 1, b"", 24, -1)
    return _stsd(build_box(name, head, *inside))


def build_colr(primaries: int, transfer: int, matrix: int, *, full_range: bool) -> bytes:
    """The box of colours as ISO writes it (s12.1.5), numbered as in ITU-T H.273."""
    return build_box("colr", struct.pack(">4sHHHB", b"nclx", primaries, transfer, matrix, full_range << 7))


def plain_sound(moov: bytes, trak: Box) -> bytes | None:
    """The `stsd` of a sound track of AAC in mono or stereo; None for all others.

    QuickTime's descriptions (versions 1 and 2, the configuration inside `wave`) become the one that ISO/IEC 14496-14 s5.6
    knows.
    """
    stsd = require(moov, "mdia", "minf", "stbl", "stsd", within=trak)
    entry, boxes = entry_boxes(moov, stsd, "soun")
    esds = _payload(moov, boxes, "esds") if entry.type == "mp4a" else None
    if esds is None:
        return None
    try:
        kind, specific = decoder_config(esds)
    except IndexError:
        return None
    return sound_stsd(esds, specific) if kind == _AAC else None


def sound_stsd(esds: bytes, specific: bytes) -> bytes | None:
    """The `stsd` of AAC in mono or stereo with this `esds`, of which `specific` is the AudioSpecificConfig; None for others."""
    try:
        audio, rate, channels = _audio_config(specific)
    except IndexError:
        return None
    # AAC-LC (2), HE-AAC (5) and its second version (29): what every player decodes. Channels 0 are told inside the sound.
    if audio not in {2, 5, 29} or channels not in {1, 2}:
        return None
    head = bytes(6) + b"\0\1" + bytes(8) + struct.pack(">HHHHI", channels, 16, 0, 0, rate << 16)
    return _stsd(build_box("mp4a", head, build_box("esds", esds)))


def build_esds(specific: bytes) -> bytes:
    """What is in the box `esds` of AAC with this AudioSpecificConfig (ISO/IEC 14496-1 s7.2.6.5-6); rates are not said."""
    decoder = bytes((_AAC, _AUDIO_STREAM)) + bytes(11) + _descriptor(5, specific)
    return bytes(4) + _descriptor(3, bytes(3) + _descriptor(4, decoder) + _descriptor(6, b"\2"))


def _descriptor(tag: int, content: bytes) -> bytes:
    """With a length of four times seven bits, as most writers have it."""
    size = len(content)
    return bytes((tag, *(size >> shift & 127 | 128 for shift in (21, 14, 7)), size & 127)) + content


def _stsd(entry: bytes) -> bytes:
    return build_full_box("stsd", 0, 0, struct.pack(">I", 1), entry)


def _payload(data: bytes, boxes: list[Box], name: str) -> bytes | None:
    box = next((box for box in boxes if box.type == name), None)
    return None if box is None else data[box.payload_start : box.stop]


def _has_avc_sets(config: bytes) -> bool:
    """Whether an `avcC` has a sequence and a picture parameter set (ISO/IEC 14496-15 s5.3.3.1)."""
    if len(config) < 6 or not config[5] & 31:
        return False
    at = 6
    for _ in range(config[5] & 31):
        at += 2 + int.from_bytes(config[at : at + 2], "big")
    return at < len(config) and config[at] > 0


def _with_complete_sets(config: bytes) -> bytes | None:
    """An `hvcC` whose arrays say that they are complete, as `hvc1` demands (s8.3.3.1); None without all three kinds."""
    marked = bytearray(config)
    kinds = set()
    at = 23
    for _ in range(config[22] if len(config) > 22 else 0):
        if at + 3 > len(config):
            return None
        count = int.from_bytes(config[at + 1 : at + 3], "big")
        if count and config[at] & 63 in _HEVC_SETS:
            kinds.add(config[at] & 63)
            marked[at] |= 0x80
        at += 3
        for _ in range(count):
            at += 2 + int.from_bytes(config[at : at + 2], "big")
            if at > len(config):
                return None
    return bytes(marked) if kinds == _HEVC_SETS else None


def _colours(data: bytes, boxes: list[Box], *, full_range: bool) -> list[bytes]:
    """The `colr` box as ISO writes it (s12.1.5); QuickTime's kind does not tell the range."""
    payload = _payload(data, boxes, "colr")
    if payload is None or len(payload) < 10 or payload[:4] not in {b"nclx", b"nclc"}:
        return []
    wide = bool(payload[10] & 0x80) if payload[:4] == b"nclx" and len(payload) > 10 else full_range
    return [build_colr(*struct.unpack_from(">HHH", payload, 4), full_range=wide)]


_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


def _audio_config(specific: bytes) -> tuple[int, int, int]:
    """Audio object type, sample rate in Hz (0 where the entry cannot say it) and channels (ISO/IEC 14496-3 s1.6.2.1)."""
    if len(specific) < 2:
        raise IndexError(len(specific))
    bits = int.from_bytes(specific[:8].ljust(8, b"\0"), "big")
    kind, index = bits >> 59, bits >> 55 & 15
    if index == 15:
        rate, channels = bits >> 31 & 0xFFFFFF, bits >> 27 & 15
    else:
        rate, channels = _RATES[index], bits >> 51 & 15
    return kind, rate if rate < 1 << 16 else 0, channels
