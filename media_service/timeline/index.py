"""The packet-exact index of a source: when every packet of its picture and sound is shown, and where it lies.

Built once, from an MP4's sample tables (`index_tables`) or from the rows of one pass over the packets (`index_rows`);
stored by `index_codec`, asked through `stored_index`. Here are only the columns: one number per packet in each, in
decoding order, so that millions of packets cost bytes and not objects.

Times are integer ticks of the track, counted from the film's start: the beginning of its earliest track is 0. What an
edit list cuts away stays, marked as not shown: decoding may have to begin there.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import compress, repeat
from operator import add
from typing import Literal, NamedTuple

from media_service.errors import BrokenMedia

Kind = Literal["video", "audio"]

SYNC = 1  # decoding can begin at this packet
SHOWN = 2  # the edit list does not cut it away
NO_OFFSET = -1  # in a column of offsets: nobody knows where the packet lies

MAX_TICKS = 1 << 60  # either way; 400 years at a timescale of 90 MHz, and sums of two still fit 64 bits

_SYNC_OF = bytes(flags & SYNC for flags in range(256))
_SHOWN_OF = bytes((flags & SHOWN) >> 1 for flags in range(256))


class Packet(NamedTuple):
    """One packet. `number` counts from 0 in decoding order, times in ticks, `size` and `offset` in bytes."""

    number: int
    time: int
    decode_time: int
    size: int
    offset: int | None
    sync: bool
    shown: bool


@dataclass(frozen=True, slots=True)
class Columns:
    """Packets in decoding order: `times`, `decode_times`, `offsets` ("q", NO_OFFSET where unknown), `sizes` ("q")."""

    times: array[int]
    decode_times: array[int]
    sizes: array[int]
    offsets: array[int]
    flags: bytes  # SYNC | SHOWN of each

    def __len__(self) -> int:
        return len(self.flags)

    @property
    def sync(self) -> bytes:
        """1 for each packet at which decoding can begin, else 0."""
        return self.flags.translate(_SYNC_OF)

    @property
    def shown(self) -> bytes:
        """1 for each packet that is shown, else 0."""
        return self.flags.translate(_SHOWN_OF)

    def shown_times(self) -> Iterator[int]:
        """When the packets that are shown are, in decoding order."""
        return compress(self.times, self.shown)

    def slice(self, start: int, stop: int) -> Columns:
        """The packets [start, stop)."""
        return Columns(
            self.times[start:stop],
            self.decode_times[start:stop],
            self.sizes[start:stop],
            self.offsets[start:stop],
            self.flags[start:stop],
        )

    def only(self, wanted: bytes) -> Columns:
        """The packets for which `wanted` is not zero; a copy."""
        times, decode_times, sizes, offsets = (
            array("q", compress(column, wanted))
            for column in (self.times, self.decode_times, self.sizes, self.offsets)
        )
        return Columns(times, decode_times, sizes, offsets, bytes(compress(self.flags, wanted)))

    def byte_span(self) -> tuple[int, int] | None:
        """The smallest [start, stop) of the file that holds all packets of known place; None without any."""
        if NO_OFFSET not in self.offsets:
            offsets: Sequence[int] = self.offsets
            ends = map(add, self.offsets, self.sizes)
        else:
            known = list(map(NO_OFFSET.__ne__, self.offsets))
            offsets = list(compress(self.offsets, known))
            ends = map(add, offsets, compress(self.sizes, known))
        return (min(offsets), max(ends)) if offsets else None


@dataclass(frozen=True, slots=True)
class TrackIndex:
    """One track. `stream` is its number as ffmpeg counts; `timescale` is ticks per second.

    `start` is when its first packet begins to be shown, `stop` when the last one ends, in ticks. `exact_offsets`: an
    offset is the packet's first byte and all of it follows; else it is where the container begins to speak of it.
    """

    stream: int
    kind: Kind
    timescale: int
    start: int
    stop: int
    exact_offsets: bool
    columns: Columns


@dataclass(frozen=True, slots=True)
class Index:
    """All tracks that have packets to show. `origin` is the film's start in seconds on the source's own clock."""

    origin: Fraction
    tracks: tuple[TrackIndex, ...]


def on_film_clock(tracks: Iterable[TrackIndex], origin: Fraction | None = None) -> Index:
    """The tracks, whose times are on the source's clock, moved so that the film begins at 0.

    `origin` (s) is that beginning where it is known better; by default the earliest start of all tracks. Ticks are
    rounded to the nearest. Raises BrokenMedia for tracks that begin further apart than any clock reaches.
    """
    tracks = tuple(tracks)
    if origin is None:
        origin = min((Fraction(track.start, track.timescale) for track in tracks), default=Fraction(0))
    return Index(origin, tuple(_moved(track, -round(origin * track.timescale)) for track in tracks))


def _moved(track: TrackIndex, by: int) -> TrackIndex:
    if not by:
        return track
    if abs(by) > 2 * MAX_TICKS:
        raise BrokenMedia("a track begins further from another one than any clock reaches")
    columns = replace(
        track.columns,
        times=array("q", map(add, track.columns.times, repeat(by))),
        decode_times=array("q", map(add, track.columns.decode_times, repeat(by))),
    )
    return replace(track, start=track.start + by, stop=track.stop + by, columns=columns)
