"""A stored index opened: the directory is read, blocks are when a question needs them, and the last few are kept.

Questions are in ticks of the track. "Shown" packets are those that the edit list does not cut away. An instance is used
by one thread at a time; every question may raise IndexCorrupt, when it meets damage that opening had no reason to look at.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from media_service.timeline.index import SHOWN, SYNC, Columns, Kind, Packet
from media_service.timeline.index_codec import (
    BLOCK,
    SyncPoints,
    TrackEntry,
    block_table,
    open_directory,
    read_block,
    read_sync,
)
from media_service.timeline.index_columns import IndexCorrupt

CACHED_BLOCKS = (
    4  # of each track, some 80 kB each: two to answer at a border, two for whoever asks in between
)


@dataclass(frozen=True, slots=True)
class _Block:
    columns: Columns
    shown: list[int]  # the presentation times of what is shown, sorted


class StoredTrack:
    """One track of a stored index. Times in ticks of `timescale` (ticks/s), numbers count packets in decoding order."""

    def __init__(self, data: memoryview, sections: int, entry: TrackEntry) -> None:
        self.stream = entry.stream
        self.kind: Kind = entry.kind
        self.timescale = entry.timescale
        self.start = entry.start
        self.stop = entry.stop
        self.exact_offsets = entry.exact_offsets
        self.count = entry.count
        self.shown_count = entry.shown
        self.size = entry.size  # bytes of all packets
        self.all_sync = entry.all_sync
        self._data, self._sections, self._entry = data, sections, entry
        self._table = block_table(entry)
        self._blocks: OrderedDict[int, _Block] = OrderedDict()
        self._sync: SyncPoints | None = None

    @property
    def sync(self) -> SyncPoints:
        """The sync packets of a track in which not all are (`all_sync`); there the list is empty."""
        if self._sync is None:
            empty = array("q")
            self._sync = (
                SyncPoints(empty, empty, empty, empty)
                if self.all_sync
                else read_sync(self._data, self._sections, self._entry)
            )
        return self._sync

    def packet(self, number: int) -> Packet:
        """The packet of that number. Raises IndexError when there is none."""
        if not 0 <= number < self.count:
            raise IndexError(f"the track has {self.count} packets, no number {number}")
        return _packet(self._block(number // BLOCK).columns, number // BLOCK * BLOCK, number % BLOCK)

    def at(self, time: int) -> Packet | None:
        """What is shown at `time`: the shown packet with the latest presentation time at or before it; None before all.

        Of several with the same time the first in decoding order.
        """
        best: tuple[int, int] | None = None
        for number, (low, high) in enumerate(zip(self._table.low, self._table.high, strict=True)):
            if low > time or low > high:
                continue
            if high > time:
                shown = self._block(number).shown
                high = shown[bisect_right(shown, time) - 1]  # noqa: PLW2901 - the latest that is early enough
            if best is None or high > best[0]:
                best = (high, number)
        return None if best is None else self._shown_at(*best)

    def at_or_after(self, time: int) -> Packet | None:
        """The shown packet with the earliest presentation time at or after `time`; None after the last one."""
        best: tuple[int, int] | None = None
        for number, (low, high) in enumerate(zip(self._table.low, self._table.high, strict=True)):
            if high < time or low > high:
                continue
            if low < time:
                shown = self._block(number).shown
                low = shown[bisect_left(shown, time)]  # noqa: PLW2901 - the earliest that is late enough
            if best is None or low < best[0]:
                best = (low, number)
        return None if best is None else self._shown_at(*best)

    def keyframe(self, packet: Packet) -> Packet | None:
        """Where decoding has to begin so that `packet` can be shown; None when the file does not have that place.

        The last sync packet that is not after it, neither in decoding nor in presentation order: a leading picture of an
        open group is decoded after its own keyframe, but needs the one before.
        """
        if self.all_sync:
            return packet
        points = self.sync
        at = bisect_right(points.numbers, packet.number) - 1
        while at >= 0 and points.times[at] > packet.time:
            at -= 1
        return None if at < 0 else self.packet(points.numbers[at])

    def between(self, start: int, stop: int) -> list[Packet]:
        """The shown packets with presentation times in [start, stop), in decoding order."""
        found: list[Packet] = []
        for number, (low, high) in enumerate(zip(self._table.low, self._table.high, strict=True)):
            if low >= stop or high < start or low > high:
                continue
            columns = self._block(number).columns
            found += (
                _packet(columns, number * BLOCK, at)
                for at, (time, shown) in enumerate(zip(columns.times, columns.shown, strict=True))
                if shown and start <= time < stop
            )
        return found

    def columns(self, start: int = 0, stop: int | None = None) -> Columns:
        """The packets numbered [start, stop), `offsets` as they are told."""
        stop = self.count if stop is None else min(stop, self.count)
        columns = Columns(array("q"), array("q"), array("q"), array("q"), b"")
        pieces = list(self._pieces(max(0, start), stop))
        for piece in pieces:
            columns.times.extend(piece.times)
            columns.decode_times.extend(piece.decode_times)
            columns.sizes.extend(piece.sizes)
            columns.offsets.extend(piece.offsets)
        flags = b"".join(piece.flags for piece in pieces)
        return Columns(columns.times, columns.decode_times, columns.sizes, columns.offsets, flags)

    def byte_span(self, start: int, stop: int) -> tuple[int, int] | None:
        """The smallest span of the file that holds the packets numbered [start, stop); None where nobody knows.

        Reads the blocks at both ends only.
        """
        spans: list[tuple[int, int]] = []
        first, last = -(-start // BLOCK), stop // BLOCK  # whole blocks are [first, last)
        if first <= last:
            pieces = ((start, min(first * BLOCK, stop)), (max(last * BLOCK, start), stop))
            rows = zip(self._table.byte_start[first:last], self._table.byte_stop[first:last], strict=True)
            spans += (span for span in rows if span[0] >= 0)
        else:
            pieces = ((start, stop), (stop, stop))
        for low, high in pieces:
            spans += filter(None, (piece.byte_span() for piece in self._pieces(low, min(high, self.count))))
        return (min(span[0] for span in spans), max(span[1] for span in spans)) if spans else None

    def shown_times(self) -> Iterator[int]:
        """All presentation times of what is shown, sorted within each block. Reads the whole track."""
        for number in range(len(self._table.low)):
            yield from self._block(number).shown

    def _pieces(self, start: int, stop: int) -> Iterator[Columns]:
        while start < stop:
            number, within = divmod(start, BLOCK)
            piece = self._block(number).columns.slice(within, within + stop - start)
            yield piece
            start += len(piece)

    def _shown_at(self, time: int, number: int) -> Packet:
        columns = self._block(number).columns
        at = columns.times.index(time)
        while not columns.flags[at] & SHOWN:
            at = columns.times.index(time, at + 1)
        return _packet(columns, number * BLOCK, at)

    def _block(self, number: int) -> _Block:
        block = self._blocks.get(number)
        if block is not None:
            self._blocks.move_to_end(number)
            return block
        length = min(BLOCK, self.count - number * BLOCK)
        columns = read_block(self._data, self._sections, self._table, number, length)
        shown = sorted(columns.shown_times())
        if shown and (shown[0], shown[-1]) != (self._table.low[number], self._table.high[number]):
            raise IndexCorrupt("a block is not the one that its directory means")
        block = self._blocks[number] = _Block(columns, shown)
        if len(self._blocks) > CACHED_BLOCKS:
            self._blocks.popitem(last=False)
        return block


class StoredIndex:
    """An index as `encode` wrote it. `origin` is the film's start in seconds on the source's own clock.

    Raises IndexCorrupt for bytes that are none.
    """

    def __init__(self, data: bytes) -> None:
        view = memoryview(data)
        directory, sections = open_directory(view)
        self.origin = Fraction(*directory.origin)
        self.tracks = tuple(StoredTrack(view, sections, entry) for entry in directory.tracks)

    def track(self, stream: int) -> StoredTrack:
        """The track that ffmpeg numbers so. Raises KeyError when there is none."""
        for track in self.tracks:
            if track.stream == stream:
                return track
        raise KeyError(stream)

    @property
    def main(self) -> StoredTrack | None:
        """The track that a viewer seeks in: the first picture, else the first sound; None in an empty film."""
        pictures = (track for track in self.tracks if track.kind == "video")
        return next(pictures, None) or next(iter(self.tracks), None)


def _packet(columns: Columns, first: int, at: int) -> Packet:
    offset, flags = columns.offsets[at], columns.flags[at]
    return Packet(
        first + at,
        columns.times[at],
        columns.decode_times[at],
        columns.sizes[at],
        None if offset < 0 else offset,
        bool(flags & SYNC),
        bool(flags & SHOWN),
    )
