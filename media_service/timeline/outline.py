"""The outline of a film: all its renditions and where each is cut, decided once when it is indexed and kept with it.

Everything that is served of a film follows from its outline: playlists are complete before anything is encoded, and any
worker that makes segment k of a rendition makes the same one. An outline never changes once viewers may have seen it.
"""

from __future__ import annotations

import hashlib
import zlib
from bisect import bisect_right
from fractions import Fraction
from functools import cached_property
from operator import sub
from typing import Literal

import msgspec

from media_service.timeline.ladder import AudioRendition, VideoRendition

Kind = Literal["video", "audio"]
VideoRange = Literal["SDR", "PQ", "HLG"]

SOURCE = "source"  # the name of the original's own picture, cut out of it
# Grows whenever `packaging` makes other bytes of the same outline: outlines are kept, what is packaged is not.
PACKAGING = 1


class Packaged(msgspec.Struct, frozen=True, kw_only=True):
    """How a rendition is cut out of the original, nothing encoded: segment k has the packets [packets[k], packets[k + 1]).

    Packets are numbered in decoding order, as in the index. `init` is the whole init segment.
    """

    init: bytes
    packets: tuple[int, ...]


class OutlineRendition(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One rendition: segment k is shown in [boundaries[k], boundaries[k + 1]), in ticks of `timescale` (ticks/s).

    Exactly one of `packaged`, `video` and `audio` is there: cut out of the original, or how picture or sound is encoded.
    Bandwidths in bits/s: of what is packaged they are exact, of what is encoded the rate control's bound and a guess.
    """

    name: str
    kind: Kind
    stream: int  # the track of the source that it shows, as ffmpeg numbers it
    timescale: int
    boundaries: tuple[int, ...]
    codecs: str  # RFC 6381
    bandwidth: int
    average_bandwidth: int
    packaged: Packaged | None = None
    video: VideoRendition | None = None
    audio: AudioRendition | None = None
    width: int | None = None  # pixels, as shown: upright
    height: int | None = None
    frame_rate: float | None = None  # frames/s, on average
    video_range: VideoRange = "SDR"
    channels: int | None = None
    language: str | None = None  # BCP 47, or what the source says
    label: str | None = None  # for people, of a sound

    @property
    def count(self) -> int:
        """How many segments."""
        return len(self.boundaries) - 1

    @cached_property
    def durations(self) -> tuple[int, ...]:
        """What EXTINF says of each segment, in ticks."""
        return tuple(map(sub, self.boundaries[1:], self.boundaries))

    def segment_at(self, seconds: Fraction | float) -> int:
        """The number of the segment in which that time is shown; the first or last one for times outside."""
        ticks = Fraction(seconds) * self.timescale
        return min(max(bisect_right(self.boundaries, ticks) - 1, 0), self.count - 1)

    def seconds(self, boundary: int) -> Fraction:
        """When the boundary of that number is."""
        return Fraction(self.boundaries[boundary], self.timescale)


class SubtitleTrack(msgspec.Struct, frozen=True, kw_only=True):
    """One subtitle track of the source. `number` counts all of them from 0; images cannot become text."""

    number: int
    stream: int  # as ffmpeg numbers it
    codec: str
    language: str | None = None
    label: str
    convertible: bool
    forced: bool = False


class Outline(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All of a film. `renditions`: pictures first, `source` before all, the larger before the smaller, then sounds.

    `recipes` is the version of the recipes that encode it. `independent`: each segment of `source` decodes without others.
    """

    recipes: int
    seconds: float  # the film's length
    independent: bool
    renditions: tuple[OutlineRendition, ...]
    subtitles: tuple[SubtitleTrack, ...] = ()

    def rendition(self, name: str) -> OutlineRendition:
        """The rendition of that name. Raises KeyError."""
        for one in self.renditions:
            if one.name == name:
                return one
        raise KeyError(name)

    @property
    def videos(self) -> tuple[OutlineRendition, ...]:
        """The pictures."""
        return tuple(one for one in self.renditions if one.kind == "video")

    @property
    def sounds(self) -> tuple[OutlineRendition, ...]:
        """The sounds; the first is the main one."""
        return tuple(one for one in self.renditions if one.kind == "audio")

    @property
    def encoded(self) -> tuple[OutlineRendition, ...]:
        """What workers have to make."""
        return tuple(one for one in self.renditions if one.packaged is None)

    @property
    def main(self) -> OutlineRendition:
        """What a viewer seeks in: the first picture, else the first sound."""
        return self.renditions[0]

    @cached_property
    def version(self) -> str:
        """Names this very outline and the way in which it is packaged: what is cut or made another way has another."""
        return _named(msgspec.msgpack.encode(self))


def encode(outline: Outline) -> bytes:
    """As it is stored."""
    return zlib.compress(msgspec.msgpack.encode(outline), 6)


def decode(data: bytes) -> Outline:
    """What `encode` was given. Raises msgspec.DecodeError or zlib.error for anything else."""
    stored = zlib.decompress(data)
    outline = msgspec.msgpack.decode(stored, type=Outline)
    # What it is called does not change when a later version of the service knows more fields.
    outline.__dict__["version"] = _named(stored)
    return outline


def _named(stored: bytes) -> str:
    return hashlib.sha256(stored + b"%d" % PACKAGING).hexdigest()[:12]
