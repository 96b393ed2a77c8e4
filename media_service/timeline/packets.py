"""What one pass over a source's packets found: the truth that probing can only guess, stream by stream.

Seconds count from the beginning of the file's earliest track, as ffmpeg counts when it transcodes, so they compare
directly with what comes out.
"""

from __future__ import annotations

from operator import and_

import msgspec

from media_service.timeline.index import Index, TrackIndex


class StreamPackets(msgspec.Struct, frozen=True, kw_only=True):
    """One track. `start_seconds` and `stop_seconds` are None while it has no packet with a time."""

    index: int  # the stream's number in the source
    count: int = 0
    key_count: int = 0  # packets that decoding can begin at
    size: int = 0  # bytes
    start_seconds: float | None = None  # presentation time of the earliest packet
    stop_seconds: float | None = None  # when the packet shown last ends

    @property
    def duration_seconds(self) -> float:
        """From the first packet's beginning to the last one's end; 0 for an empty track."""
        if self.start_seconds is None or self.stop_seconds is None:
            return 0.0
        return self.stop_seconds - self.start_seconds


class Packets(msgspec.Struct, frozen=True):
    """All tracks that have packets."""

    streams: tuple[StreamPackets, ...] = ()

    def stream(self, index: int) -> StreamPackets:
        """The track numbered `index`; an empty one when it has no packets."""
        return next((stream for stream in self.streams if stream.index == index), StreamPackets(index=index))

    def stop_seconds(self, *indexes: int) -> float:
        """When the last of these tracks ends; 0 when all are empty."""
        return max((self.stream(index).stop_seconds or 0.0 for index in indexes), default=0.0)


def packets_of(index: Index) -> Packets:
    """The numbers of an index: of each track only what is shown, but the bytes of all."""
    return Packets(tuple(_stream(track) for track in index.tracks))


def _stream(track: TrackIndex) -> StreamPackets:
    columns = track.columns
    shown = columns.shown
    return StreamPackets(
        index=track.stream,
        count=sum(shown),
        key_count=sum(map(and_, columns.sync, shown)),
        size=sum(columns.sizes),
        start_seconds=track.start / track.timescale,
        stop_seconds=track.stop / track.timescale,
    )
