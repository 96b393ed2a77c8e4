"""Init segments: what a player needs before the first fragment (ISO/IEC 14496-12 s8.8, 23000-19 s7.3).

ffmpeg's is read for what it says of its one track, and ours is written from that: the same bytes for the same codec
settings, so that runs encoded apart share one init segment, and nothing in it that depends on a run.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from media_service.errors import BrokenMedia, EncryptedMedia
from media_service.mp4.boxes import build_box, build_full_box, children, fields, require
from media_service.mp4.movie_boxes import build_ftyp, build_media, build_mvhd, build_tkhd
from media_service.mp4.plain_entry import turn
from media_service.mp4.sample_entry import SampleEntry, read_sample_entry


@dataclass(frozen=True, slots=True)
class InitTrack:
    """The one track of a rendition.

    `timescale` is in ticks per second, `width` and `height` in pixels (0 for sound), `sample_rate` in Hz (0 for
    video). `codec` is the RFC 6381 name. `stsd` is the whole box, as the encoder wrote it. `rotation` is by how many
    degrees clockwise a player has to turn the picture (0, 90, 180, 270).
    """

    track_id: int
    timescale: int
    handler: str
    codec: str
    width: int
    height: int
    sample_rate: int
    channels: int
    stsd: bytes
    rotation: int = 0


def read_init(data: bytes) -> InitTrack:
    """The track of an init segment (`ftyp` and `moov`, in that order or just the `moov`).

    Raises BrokenMedia when there is not exactly one track or a box of it is missing, EncryptedMedia.
    """
    moov = require(data, "moov")
    tracks = [box for box in children(data, moov) if box.type == "trak"]
    if len(tracks) != 1:
        raise BrokenMedia(f"an init segment has one track, this one has {len(tracks)}")
    tkhd = require(data, "tkhd", within=tracks[0])
    mdia = require(data, "mdia", within=tracks[0])
    mdhd = require(data, "mdhd", within=mdia)
    stsd = require(data, "minf", "stbl", "stsd", within=mdia)
    (track_id,) = fields("I", data, tkhd, 20 if fields("B", data, tkhd)[0] else 12)
    (timescale,) = fields("I", data, mdhd, 20 if fields("B", data, mdhd)[0] else 12)
    handler = fields("4s", data, require(data, "hdlr", within=mdia), 8)[0].decode("latin-1")
    if not track_id or not timescale:
        raise BrokenMedia("the track has no number or no timescale")
    entry = read_sample_entry(data, stsd, handler)
    if entry.encrypted:
        raise EncryptedMedia(f"the {handler!r} track is encrypted")
    return init_track(
        entry,
        data[stsd.start : stsd.stop],
        track_id=track_id,
        timescale=timescale,
        handler=handler,
        rotation=turn(data, tracks[0]) or 0,
    )


def init_track(
    entry: SampleEntry, stsd: bytes, *, track_id: int, timescale: int, handler: str, rotation: int = 0
) -> InitTrack:
    """The track whose whole box `stsd` has that `entry`."""
    return InitTrack(
        track_id=track_id,
        timescale=timescale,
        handler=handler,
        codec=entry.codec,
        width=entry.width,
        height=entry.height,
        sample_rate=entry.sample_rate,
        channels=entry.channels,
        stsd=stsd,
        rotation=rotation,
    )


def build_init(track: InitTrack) -> bytes:
    """Our init segment of `track`: no durations, no edit list, no metadata; the defaults are all in the fragments."""
    empty = struct.pack(">I", 0)
    sample_table = track.stsd + b"".join(
        (
            build_full_box("stts", 0, 0, empty),
            build_full_box("stsc", 0, 0, empty),
            build_full_box("stsz", 0, 0, empty, empty),
            build_full_box("stco", 0, 0, empty),
        )
    )
    tkhd = build_tkhd(
        track_id=track.track_id,
        duration=0,
        width=track.width,
        height=track.height,
        volume=track.handler == "soun",
        rotation=track.rotation,
    )
    mdia = build_media(
        timescale=track.timescale, duration=0, handler=track.handler, sample_table=sample_table
    )
    trex = build_full_box("trex", 0, 0, struct.pack(">5I", track.track_id, 1, 0, 0, 0))
    moov = build_box(
        "moov",
        build_mvhd(timescale=track.timescale, duration=0, next_track_id=track.track_id + 1),
        build_box("trak", tkhd, mdia),
        build_box("mvex", trex),
    )
    return build_ftyp("iso6", "iso6", "cmfc", "mp41") + moov
