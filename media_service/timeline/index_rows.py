"""The index of any source from the rows of one pass over its packets, as ffprobe prints them.

`ffprobe -show_entries packet=stream_index,pts,dts,duration,size,pos,flags -of csv`, with or without the word "packet"
in front (`csv=p=0`). Times are in the time base of each stream, `N/A` where the container does not tell: Matroska has no
decode times, AVI no presentation times. What is missing is put in so that decode times never fall and the order of
decoding is the order of the rows.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import nlargest, nsmallest
from itertools import compress, islice, repeat
from operator import sub

from media_service.errors import AbsurdMedia
from media_service.timeline.index import (
    MAX_TICKS,
    NO_OFFSET,
    SHOWN,
    SYNC,
    Columns,
    Index,
    Kind,
    TrackIndex,
    on_film_clock,
)

MAX_PACKETS = (
    10_000_000  # of all tracks, as in the sample tables: a day of 60 frames per second and its sound
)
LARGEST_PACKET = (1 << 32) - 1  # bytes, as in an MP4
LONGEST_LINE = 4096  # bytes; real ones have under 80

_FIELDS = 7
_UNKNOWN = -(1 << 63)  # what ffmpeg calls AV_NOPTS_VALUE
_UNKNOWN_TEXT = str(_UNKNOWN).encode()


@dataclass(frozen=True, slots=True)
class SourceStream:
    """A stream to index: its number as ffmpeg counts, and the seconds in one of its ticks.

    `start` is its start in ticks as ffprobe tells (`start_pts`), if it does: sound may begin inside its first packet.
    """

    stream: int
    kind: Kind
    time_base: Fraction
    start: int | None = None


class PacketIndexer:
    """Push parser: feed it what ffprobe prints, in any split, then `finish`. Rows of other streams are passed over.

    `payload_offsets`: `pos` is where the packet's own bytes begin (ffmpeg's "mov" demuxer), not where the container
    begins to speak of it (Matroska, MPEG-TS ...).
    """

    def __init__(
        self, streams: Iterable[SourceStream], *, payload_offsets: bool, max_packets: int = MAX_PACKETS
    ) -> None:
        self._tracks = {str(stream.stream).encode(): _Rows(stream) for stream in streams}
        self._payload_offsets = payload_offsets
        self._left = max_packets
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises AbsurdMedia for more packets than any real film has."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            self._rest = b""
        rows: dict[bytes, list[list[bytes]]] = {key: [] for key in self._tracks}
        for line in lines:
            fields = line.removeprefix(b"packet,").rstrip(b"\r").split(b",", _FIELDS)
            if len(fields) >= _FIELDS and fields[0] in rows and len(line) <= LONGEST_LINE:
                rows[fields[0]].append(fields[1:_FIELDS])
        for key, found in rows.items():
            self._left -= len(found)
            if self._left < 0:
                raise AbsurdMedia("the film has more packets than any real one")
            self._tracks[key].extend(found)

    def finish(self, *, origin: Fraction | None = None) -> Index:
        """The index of what was fed; tracks that show nothing are left out. `origin` as in `on_film_clock`.

        Raises BrokenMedia for times beyond all clocks.
        """
        self.feed(b"\n")
        tracks = (rows.track(exact_offsets=self._payload_offsets) for rows in self._tracks.values())
        return on_film_clock((track for track in tracks if track is not None), origin)


class _Rows:
    """The columns of one stream as they come in."""

    def __init__(self, stream: SourceStream) -> None:
        self._stream = stream
        # Times beyond this are some writer's garbage: as good as not told.
        self._limit = MAX_TICKS // stream.time_base.numerator
        # pts, dts, duration, size, pos
        self._columns = tuple(array("q") for _ in range(5))
        self._flags = bytearray()

    def extend(self, rows: Sequence[Sequence[bytes]]) -> None:
        if not rows:
            return
        *columns, flags = zip(*rows, strict=True)
        try:
            numbers = [array("q", map(_number, column)) for column in columns]
        except (ValueError, OverflowError):
            if len(rows) > 1:  # a spoilt line among good ones: find it
                for row in rows:
                    self.extend([row])
            return
        for column, new in zip(self._columns, numbers, strict=True):
            column.extend(new)
        self._flags += bytes(map(_flags, flags))

    def track(self, *, exact_offsets: bool) -> TrackIndex | None:
        shown, decoded, durations, sizes, offsets = self._columns
        shown, decoded = self._plausible(shown), self._plausible(decoded)
        times = presented(shown, decoded)
        decode_times = filled(decoded, times)
        if decode_times is None:
            return None
        times = array("q", (d if t == _UNKNOWN else t for t, d in zip(times, decode_times, strict=True)))
        factor, timescale = self._stream.time_base.as_integer_ratio()
        columns = Columns(
            _scaled(times, factor),
            _scaled(decode_times, factor),
            _within(sizes, LARGEST_PACKET, 0),
            _within(offsets, MAX_TICKS, NO_OFFSET),
            bytes(self._flags),
        )
        starts = nsmallest(2, columns.shown_times())
        if not starts:
            return None
        start, told = starts[0], self._stream.start
        if self._stream.kind == "audio" and told is not None and start < told * factor < starts[-1]:
            start = told * factor
        stop = _stop(columns, _scaled(self._plausible(durations), factor), factor)
        return TrackIndex(
            self._stream.stream, self._stream.kind, timescale, start, stop, exact_offsets, columns
        )

    def _plausible(self, numbers: array[int]) -> array[int]:
        limit = self._limit
        if not numbers or (min(numbers) > -limit and max(numbers) < limit):
            return numbers
        return array("q", (number if -limit < number < limit else _UNKNOWN for number in numbers))


def _within(numbers: array[int], most: int, otherwise: int) -> array[int]:
    """The numbers that are in [0, most], and `otherwise` for what cannot be."""
    if not numbers or (min(numbers) >= 0 and max(numbers) <= most):
        return numbers
    return array("q", (number if 0 <= number <= most else otherwise for number in numbers))


def _number(field: bytes) -> int:
    return _UNKNOWN if field == b"N/A" else int(field)


def _flags(field: bytes) -> int:
    return (SYNC if b"K" in field else 0) | (0 if b"D" in field else SHOWN)


def _scaled(numbers: array[int], factor: int) -> array[int]:
    if factor == 1:
        return numbers
    return array("q", (n if n == _UNKNOWN else n * factor for n in numbers))


def presented(shown: array[int], decoded: array[int]) -> array[int]:
    """Presentation times where only decode times are told.

    MPEG program streams leave them out where a decoder knows them anyway. All of them together are the decode times,
    moved by the delay of the first packet; those that no packet claims belong to the packets without, in order. Where that
    does not come out even, what has one time has it for both, as in films without B frames.
    """
    if _UNKNOWN not in shown:
        return shown
    if _UNKNOWN not in (shown[0], *decoded):
        delay = shown[0] - decoded[0]
        claimed = set(shown)
        free = [time + delay for time in decoded if time + delay not in claimed]
        if len(free) == shown.count(_UNKNOWN):
            left = iter(free)
            return array("q", (next(left) if time == _UNKNOWN else time for time in shown))
    return array("q", (d if t == _UNKNOWN else t for t, d in zip(shown, decoded, strict=True)))


def filled(decoded: array[int], shown: array[int]) -> array[int] | None:
    """Decode times without gaps: unknown ones lie evenly between those around them; None when no time is known.

    Before the first known one they go on backwards at the pace of presentation. Where none is known at all, the order
    of presentation is taken, early enough that nothing is shown before it is decoded.
    """
    if _UNKNOWN not in decoded:
        return decoded
    known = [number for number, time in enumerate(decoded) if time != _UNKNOWN]
    if not known:
        if all(map(_UNKNOWN.__eq__, shown)):
            return None
        told = filled(shown, shown)
        assert told is not None, "some of them are known"
        ordered = sorted(told)
        late = max(map(sub, ordered, told))
        return array("q", map(sub, ordered, repeat(late)))
    times = array("q", decoded)
    step = min(pace(shown), MAX_TICKS // len(times))
    for number in range(known[0]):
        times[number] = times[known[0]] - (known[0] - number) * step
    for before, after in zip(known, [*known[1:], len(times)], strict=True):
        first = times[before]
        stop = times[after] if after < len(times) else first + (after - before) * step
        for number in range(before + 1, after):
            times[number] = first + (number - before) * (stop - first) // (after - before)
    return times


def pace(shown: Iterable[int]) -> int:
    """Ticks from one packet to the next as most of the first hundred are apart in presentation order; at least 1."""
    first = sorted(time for time in islice(shown, 100) if time != _UNKNOWN)
    steps = sorted(map(sub, first[1:], first))
    return max(1, steps[len(steps) // 2]) if steps else 1


def _stop(columns: Columns, durations: array[int], tick: int) -> int:
    """When the packet that is shown last ends.

    A duration that is missing or of one single tick (ffmpeg's guess for Matroska) is no duration: then it lasts as long
    as the one shown before it.
    """
    shown = nlargest(2, compress(zip(columns.times, durations, strict=True), columns.shown))
    last, duration = shown[0]
    if duration > tick or len(shown) == 1:
        return last + max(duration, tick)
    return last + max(last - shown[1][0], tick)
