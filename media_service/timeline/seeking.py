"""Where a time of a film lies: its keyframe, its frame, the bytes that a player needs for it, its segment."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

import msgspec

from media_service.timeline.index import Packet
from media_service.timeline.plan import Plan
from media_service.timeline.stored_index import StoredIndex, StoredTrack

Mode = Literal["keyframe", "exact"]

# A player that was told 0.033333 asks for 0.033333, which lies before the frame at 1/30: it means that one.
ROUNDING = Fraction(1, 1_000_000)


class Seek(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, times in seconds from the film's start. `time` is where playback begins in this `mode`."""

    mode: Mode
    stream: int  # the track that was looked in, as ffmpeg numbers it
    time: float
    keyframe_time: float  # of the keyframe from which the frame is decoded
    frame_time: float  # of the frame that is shown at the time asked for
    timescale: int  # ticks/s of the two below
    keyframe_ticks: int
    frame_ticks: int
    start: int | None  # the bytes [start, stop) of the original from the keyframe to where playback begins
    stop: int | None
    segment: int | None  # of the plan, in which playback begins


def seek(index: StoredIndex, t_seconds: float, mode: Mode = "exact", plan: Plan | None = None) -> Seek:
    """Where `t_seconds` lies in the main track; times outside the film mean its first or last frame.

    Raises ValueError for a time that is no number, LookupError for a film without any track.
    """
    if not math.isfinite(t_seconds):
        raise ValueError("a time to seek to is a finite number of seconds")
    track = index.main
    if track is None:
        raise LookupError("the film has no track to seek in")
    frame = frame_at(track, Fraction(t_seconds) + ROUNDING)
    keyframe = begin(track, frame)
    first = max(keyframe.time, track.start)  # a keyframe that the edit list cuts away is never seen
    target = frame if mode == "exact" else keyframe
    span = track.byte_span(keyframe.number, max(target.number, keyframe.number) + 1)
    ticks = max(target.time, track.start)
    return Seek(
        mode=mode,
        stream=track.stream,
        time=ticks / track.timescale,
        keyframe_time=first / track.timescale,
        frame_time=frame.time / track.timescale,
        timescale=track.timescale,
        keyframe_ticks=first,
        frame_ticks=frame.time,
        start=None if span is None else span[0],
        stop=None if span is None else span[1],
        segment=None if plan is None else plan.segment_at(ticks * plan.timescale // track.timescale),
    )


def frame_at(track: StoredTrack, seconds: Fraction) -> Packet:
    """What is shown at that time; the first frame before it begins, the last one after it ended."""
    ticks = min(max(math.floor(seconds * track.timescale), track.start), track.stop)
    packet = track.at(ticks) or track.at_or_after(ticks)
    assert packet is not None, "tracks that show nothing are not indexed"
    return packet


def begin(track: StoredTrack, frame: Packet) -> Packet:
    """Where decoding begins for `frame`: its keyframe, or the track's first packet where the file lacks that."""
    return track.keyframe(frame) or track.packet(0)
