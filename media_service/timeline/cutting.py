"""Where a run of ffmpeg begins and ends, so that it makes of its segments exactly what a run over the whole film would.

A run is entered before its first segment, because pictures need their keyframe and sound decoders and encoders a while to
settle, and what comes out too early is dropped. All times are film times: 0 is the beginning of the film's earliest track.

Where the container says exactly where its packets lie (MP4), ffmpeg lands where it is told to. Elsewhere it lands at some
packet that is near, so it is told to go further back. Should it have landed too late all the same, the first frame that
comes out is not the one that was meant; then the next attempt goes back far, and the last one begins with the film.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import zip_longest
from math import ceil, floor, gcd, lcm

from media_service.timeline.facts import Facts
from media_service.timeline.index import Packet
from media_service.timeline.index_rows import pace
from media_service.timeline.ladder import AUDIO_SAMPLE_RATE
from media_service.timeline.outline import OutlineRendition
from media_service.timeline.sound_stamps import HOLE_SECONDS, Stamps
from media_service.timeline.stored_index import StoredTrack

ATTEMPTS = 3  # as described above
FAR_BACK = Fraction(10)  # seconds, of the second attempt

KEYFRAME_SECONDS = Fraction(21, 10)  # between IDR frames at most; 4.004 s are two parts
SPARE_SECONDS = Fraction(1)  # a film's own last frame may come a little later than its tables say
# Seconds before the place that is wanted. These demuxers go to a keyframe at or before the time they are given; the others
# search for some packet near it.
BACK_SECONDS = {"mov": Fraction(0), "matroska": Fraction(0), "avi": Fraction(0), "mpegts": Fraction(1)}
BACK_ELSEWHERE = Fraction(2)

PACKET = 1024  # samples of an AAC packet (ISO/IEC 14496-3)
# 3.2 s: until then ffmpeg's rate control has not found its measure, and single packets are poor.
SETTLING_PACKETS = 150
TRAILING_PACKETS = 4  # encoded beyond the end: the last packet overlaps the next, its window depends on that
# MP3's reservoir, Opus's 80 ms, the SBR header that AAC sends twice a second.
DECODER_SECONDS = Fraction(1, 2)
INTERLEAVING_SECONDS = Fraction(1)  # how far sound may lie from the picture that ffmpeg seeks by; not in MP4
# So much sound is decoded in vain, some seconds, where its exact places cannot be known otherwise.
FROM_START_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoCut:
    """A run of pictures, in seconds of the film; good for all renditions with the same boundaries.

    `seek`: where reading begins, at or before a keyframe from which all wanted frames can be decoded; None: with the film.
    `starts`: for each segment a time between the frame before it and its first one. Frames from starts[0] on and before
    `stop` come out. `keyframes`: likewise a time before each frame that becomes an IDR frame: each segment's first, and
    more between them. `delay`: by so much the times that ffmpeg gives to frames are later than those of the index.
    """

    seek: Fraction | None
    delay: Fraction
    starts: tuple[Fraction, ...]
    stop: Fraction
    keyframes: tuple[Fraction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioCut:
    """A run of sound. `start`, `stop`, `first`, `end`: samples of AUDIO_SAMPLE_RATE from the film's start.

    What comes out are packets of 1024 samples from `start` - 1024 (the encoder's priming) on until `stop` or a little later;
    of these the segments are the packets from `first` on and before `end`. `seek`: seconds, where reading begins; None: with
    the film. `stamps` corrects the source's time stamps. `fill`: silence comes first, because the source has a hole at
    `start`; without it, sound that begins later than `start` is a sign that reading began too late. `silent`: the source
    has no sound in all of it.
    """

    seek: Fraction | None
    start: int
    stop: int
    first: int
    end: int
    stamps: Stamps
    fill: bool
    silent: bool


def video_cut(
    facts: Facts, track: StoredTrack, rendition: OutlineRendition, first: int, stop: int, *, attempt: int = 0
) -> VideoCut:
    """How to make the segments [first, stop) of an encoded picture from its `track` of the source.

    `attempt` counts from 0 to ATTEMPTS - 1. Raises ValueError for segments that are not there.
    """
    _check(rendition, first, stop)
    frames = [_frame_at(track, rendition.seconds(number)) for number in range(first, stop + 1)]
    starts = [
        rendition.seconds(number) if frame is None else before(track, frame)
        for number, frame in enumerate(frames, first)
    ]
    is_end = stop == rendition.count
    entry = None if first == 0 or attempt >= ATTEMPTS - 1 else frames[0]
    return VideoCut(
        seek=None if entry is None else video_seek(facts, track, entry, attempt),
        delay=shown_later(facts, track),
        starts=tuple(starts[:-1]),
        stop=rendition.seconds(stop) + SPARE_SECONDS if is_end else starts[-1],
        keyframes=tuple(_keyframes(track, rendition, first, starts)),
    )


def _check(rendition: OutlineRendition, first: int, stop: int) -> None:
    if not 0 <= first < stop <= rendition.count:
        raise ValueError(f"{rendition.name!r} has {rendition.count} segments, not [{first}, {stop})")


def _frame_at(track: StoredTrack, seconds: Fraction) -> Packet | None:
    """The frame that a boundary is the time of. Boundaries are rounded to ticks of their own clock: half a tick less."""
    return track.at_or_after(ceil((seconds - Fraction(1, 2 * 90_000)) * track.timescale))


def before(track: StoredTrack, frame: Packet) -> Fraction:
    """A time after the frame before and before this one; nearer to this one, which survives rounding to either's clock."""
    earlier = track.at(frame.time - 1)
    gap = track.timescale if earlier is None else frame.time - earlier.time
    return (frame.time - Fraction(gap, 4)) / track.timescale


def _keyframes(
    track: StoredTrack, rendition: OutlineRendition, first: int, starts: list[Fraction]
) -> Iterator[Fraction]:
    """The starts of segments and, where they are long, as many frames between as make equal parts."""
    for number, start in enumerate(starts[:-1], first):
        yield start
        begin, end = rendition.seconds(number), rendition.seconds(number + 1)
        parts = ceil((end - begin) / KEYFRAME_SECONDS)
        last = start
        for part in range(1, parts):
            frame = _frame_at(track, begin + (end - begin) * part / parts)
            place = end if frame is None else before(track, frame)
            # Each time is answered by a frame of its own: two in a hole would make the frame after it an IDR frame as well.
            if last < place < starts[number - first + 1]:
                yield place
                last = place


def video_seek(facts: Facts, track: StoredTrack, frame: Packet, attempt: int) -> Fraction | None:
    """When reading has to begin (s) so that `frame` can be shown; None: with the film. `attempt` as of `video_cut`."""
    goal: Packet | None = frame
    if facts.video is not None and facts.video.interlaced:
        goal = track.at(frame.time - 1)  # deinterlacing looks at the frame before
    if attempt and goal is not None:
        goal = track.at(goal.time - ceil(FAR_BACK * track.timescale))
    key = None if goal is None else track.keyframe(goal)
    if key is not None and not track.all_sync:
        key = _unmistakable(track, key)
    if key is None:
        return None
    back = _back(facts)
    ticks = key.time if back is None else min(key.time, key.decode_time)
    seconds = Fraction(ticks, track.timescale) - (back or 0)
    return seconds if seconds > 0 else None


def shown_later(facts: Facts, track: StoredTrack) -> Fraction:
    """AVI tells only when frames are decoded; ffmpeg has them shown as much later as the decoder holds them back."""
    if facts.video is None or facts.container != "avi":
        return Fraction(0)
    return Fraction(facts.video.reordered_frames * pace(track.columns(0, 100).shown_times()), track.timescale)


def _unmistakable(track: StoredTrack, key: Packet) -> Packet | None:
    """`key`, or the last keyframe before it that ffmpeg finds by its presentation time.

    It looks for the last one that is decoded by then, which is another where the next follows within the decoder's delay.
    """
    points = track.sync
    at = bisect_right(points.numbers, key.number) - 1
    while at + 1 < len(points.numbers) and track.packet(points.numbers[at + 1]).decode_time <= key.time:
        if at == 0:
            return None
        at -= 1
        key = track.packet(points.numbers[at])
    return key


def _back(facts: Facts) -> Fraction | None:
    """Seconds further back than wanted that reading has to begin in this container; None: presentation times are exact."""
    demuxer = facts.container.split(",")[0]
    return None if demuxer == "mov" else BACK_SECONDS.get(demuxer, BACK_ELSEWHERE)


def audio_cut(
    facts: Facts,
    track: StoredTrack,
    rendition: OutlineRendition,
    first: int,
    stop: int,
    *,
    known: Stamps,
    attempt: int = 0,
) -> AudioCut:
    """As `video_cut`, of an encoded sound; `known` is what `stamps` says of the track."""
    _check(rendition, first, stop)
    sound = facts.sound(track.stream)
    begin, end = (round(rendition.seconds(number) * AUDIO_SAMPLE_RATE) for number in (first, stop))
    # A place that is a whole number of samples on the source's clock too, so that resampling has the same phase in all runs.
    grid = lcm(PACKET, AUDIO_SAMPLE_RATE // gcd(AUDIO_SAMPLE_RATE, sound.sample_rate))
    start = max(0, begin - SETTLING_PACKETS * PACKET) // grid * grid
    last = (ceil(Fraction(end, PACKET)) + TRAILING_PACKETS) * PACKET
    seek = None
    if start and attempt < ATTEMPTS - 1 and (known.exact or start > FROM_START_SECONDS * AUDIO_SAMPLE_RATE):
        seek = _audio_seek(facts, Fraction(start, AUDIO_SAMPLE_RATE), attempt)
    heard = _is_heard(track, Fraction(start, AUDIO_SAMPLE_RATE), known)
    after = track.at_or_after(ceil(Fraction(start * track.timescale, AUDIO_SAMPLE_RATE)))
    none_after = after is None or after.time * AUDIO_SAMPLE_RATE >= last * track.timescale
    return AudioCut(
        seek=seek,
        start=start,
        stop=last,
        first=begin,
        end=end,
        stamps=_needed(known, Fraction(start, AUDIO_SAMPLE_RATE), Fraction(last, AUDIO_SAMPLE_RATE)),
        fill=seek is None or not heard,
        silent=none_after and not heard,
    )


def _audio_seek(facts: Facts, seconds: Fraction, attempt: int) -> Fraction | None:
    seconds -= DECODER_SECONDS + (FAR_BACK if attempt else 0)
    if _back(facts) is not None:
        seconds -= INTERLEAVING_SECONDS
    return seconds if seconds > 0 else None


def _is_heard(track: StoredTrack, seconds: Fraction, known: Stamps) -> bool:
    """Whether a packet lasts or begins then, and the source has no hole there."""
    packet = track.at(floor(seconds * track.timescale))
    if packet is None:
        return False
    after = track.at_or_after(packet.time + 1)
    lasts = known.packet_seconds
    if after is not None and Fraction(after.time - packet.time, track.timescale) <= lasts + HOLE_SECONDS:
        return True
    return seconds < Fraction(packet.time, track.timescale) + lasts


def _needed(known: Stamps, start: Fraction, stop: Fraction) -> Stamps:
    """Without the stretches that end well before `start`: what is decoded of them is dropped, wherever it is put."""
    kept = [
        one
        for one, after in zip_longest(known.stretches, known.stretches[1:])
        if one.begins < stop and (after is None or after.begins > start - FAR_BACK)
    ]
    return replace(known, stretches=tuple(kept or known.stretches[:1]))
