"""Facts and index -> the outline of a film: what it is served as, and where each of its renditions is cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from operator import sub

import msgspec

from media_service.timeline import bandwidth
from media_service.timeline.facts import AudioFacts, Facts
from media_service.timeline.ladder import (
    BUFFER_SECONDS,
    AudioRendition,
    audio_name,
    audio_renditions,
    heard,
    video_renditions,
)
from media_service.timeline.languages import label_of, tag_of
from media_service.timeline.outline import SOURCE, Outline, OutlineRendition, Packaged, SubtitleTrack
from media_service.timeline.packaging import PackagedTrack, cut
from media_service.timeline.plan import Plan, audio_boundaries, frame_boundaries, plan
from media_service.timeline.stored_index import StoredIndex, StoredTrack

RECIPES = 1  # grows whenever the same outline would be encoded to other bytes, or the same film be outlined otherwise
VIDEO_TIMESCALE = 90_000  # ticks/s: all film and video rates divide it, and it is MPEG-TS's own
AAC_FRAME = 1024  # samples in a packet of AAC-LC (ISO/IEC 14496-3)
AAC_CODECS = "mp4a.40.2"

# What pictures and sounds are expected to take of the rate that they may not exceed. A guess, until they are made: the
# quality is constant, and the rate control only caps it.
AVERAGE_SHARE = 0.5
# How far a segment of AAC may exceed the rate that was asked for: measured, 4 % over four seconds of speech, music and noise.
AAC_SWING = 1.25

# Packets in a packaged segment at most: 20 ms of CPU for each request. Eight seconds at 240 frames/s are 1920.
MOST_PACKETS = 5000

# The subtitles that are text. Others are images, which cannot become WebVTT without reading them.
TEXT_SUBTITLES = {"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text", "hdmv_text_subtitle"}


def outline(facts: Facts, index: StoredIndex, packaged: Mapping[int, PackagedTrack]) -> Outline:
    """The outline of a film; `packaged` are the tracks that could be served as they are, by stream.

    Raises ValueError for a film that has neither picture nor sound, KeyError for a track that `index` does not have.
    """
    sounds = heard(facts)
    main = facts.video or next(iter(sounds), None)
    if main is None:
        raise ValueError("a film has a picture or a sound")
    cuts = plan(index.track(main.index))
    source = _source(facts, index, cuts, packaged)
    renditions = (
        *source,
        *_pictures(facts, index, cuts, packaged=bool(source)),
        *_sounds(facts, index, cuts, packaged),
    )
    return Outline(
        recipes=RECIPES,
        seconds=max(float(one.seconds(one.count)) for one in renditions),
        independent=cuts.independent or not source,
        renditions=renditions,
        subtitles=subtitle_tracks(facts),
    )


def _source(
    facts: Facts, index: StoredIndex, cuts: Plan, packaged: Mapping[int, PackagedTrack]
) -> tuple[OutlineRendition, ...]:
    """The source's own picture as a rendition, where its packets can be cut so and every player shows them rightly."""
    video = facts.video
    if video is None or video.index not in packaged:
        return ()
    # WebKit ignores the matrix of a track that comes through HLS: what a phone filmed upright would lie on its side.
    if video.rotation:
        return ()
    source = _cut_out(SOURCE, packaged[video.index], index.track(video.index), cuts)
    return () if source is None else (source,)


def _pictures(facts: Facts, index: StoredIndex, cuts: Plan, *, packaged: bool) -> Iterator[OutlineRendition]:
    """The pictures that are encoded, all with the same boundaries."""
    video = facts.video
    if video is None:
        return
    *inner, stop = _on_clock(cuts.boundaries, cuts.timescale, VIDEO_TIMESCALE)
    # A last frame that is shown for less than a tick is shown for one.
    last = index.track(video.index).at(cuts.boundaries[-1])
    (begins,) = _on_clock([0 if last is None else last.time], cuts.timescale, VIDEO_TIMESCALE)
    boundaries = (*inner, max(stop, begins + 1))
    durations = list(map(sub, boundaries[1:], boundaries))
    for made in video_renditions(facts, packaged=packaged):
        most = made.max_bits_per_second
        # What a full buffer adds to the peak rate; all that a segment may hold.
        bounds = [
            most * ticks // VIDEO_TIMESCALE
            + most * BUFFER_SECONDS
            + bandwidth.segment_bits(0, round(made.frame_rate * ticks / VIDEO_TIMESCALE) + 1)
            for ticks in durations
        ]
        yield OutlineRendition(
            name=made.name,
            kind="video",
            stream=video.index,
            timescale=VIDEO_TIMESCALE,
            boundaries=boundaries,
            codecs=made.codecs,
            bandwidth=bandwidth.peak(bounds, durations, VIDEO_TIMESCALE),
            average_bandwidth=round(made.max_bits_per_second * AVERAGE_SHARE),
            video=made,
            width=made.width,
            height=made.height,
            frame_rate=made.frame_rate,
        )


def _sounds(
    facts: Facts, index: StoredIndex, cuts: Plan, packaged: Mapping[int, PackagedTrack]
) -> Iterator[OutlineRendition]:
    """The sounds, track by track: stereo, then more channels where there are."""
    tracks = [(number, track, index.track(track.index)) for number, track in enumerate(heard(facts), 1)]
    own = {
        track.index: sound
        for number, track, packets in tracks
        if track.index in packaged
        and (sound := _own_sound(number, track, packaged[track.index], packets, cuts)) is not None
    }
    encoded = audio_renditions(facts, packaged=own)
    for _, track, packets in tracks:
        found = [_sound(made, packets, cuts) for made in encoded if made.stream == track.index]
        found += [own[track.index]] if track.index in own else []
        yield from sorted(found, key=lambda one: one.channels or 0)


def _sound(made: AudioRendition, track: StoredTrack, cuts: Plan) -> OutlineRendition:
    """A sound that is encoded: from the film's start, in whole packets but for the last."""
    (stop,) = _on_clock([track.stop], track.timescale, made.sample_rate)
    cuts = frame_boundaries(cuts, timescale=made.sample_rate, frame=AAC_FRAME, stop=stop)
    heads = bandwidth.segment_bits(0, made.sample_rate // AAC_FRAME + 1)
    return OutlineRendition(
        name=made.name,
        kind="audio",
        stream=made.stream,
        timescale=made.sample_rate,
        boundaries=cuts.boundaries,
        codecs=AAC_CODECS,
        bandwidth=round(made.bits_per_second * AAC_SWING) + heads,
        average_bandwidth=made.bits_per_second + heads,
        audio=made,
        channels=made.channels,
        language=made.language,
        label=made.label,
    )


def _own_sound(
    number: int, facts: AudioFacts, made: PackagedTrack, track: StoredTrack, cuts: Plan
) -> OutlineRendition | None:
    """A sound of the source as it is; None where that cannot be cut."""
    channels = made.channels or facts.channels
    sound = _cut_out(audio_name(number, channels), made, track, audio_boundaries(cuts, track))
    return sound and msgspec.structs.replace(
        sound,
        channels=channels,
        language=tag_of(facts.language),
        label=label_of(facts.language, facts.title, channels=channels),
    )


def _cut_out(name: str, made: PackagedTrack, track: StoredTrack, cuts: Plan) -> OutlineRendition | None:
    """A track of the source as a rendition, in the segments of `cuts`; None where it cannot be cut so."""
    pieces = _pieces(track, cuts)
    if pieces is None:
        return None
    peak, average = _exactly(track, cuts, pieces)
    return OutlineRendition(
        name=name,
        kind=made.kind,
        stream=made.stream,
        timescale=made.timescale,
        boundaries=made.boundaries(cuts),
        codecs=made.codecs,
        bandwidth=peak,
        average_bandwidth=average,
        packaged=Packaged(init=made.init, packets=pieces),
        width=made.width,
        height=made.height,
        frame_rate=made.frame_rate,
        video_range=made.video_range,
    )


def subtitle_tracks(facts: Facts) -> tuple[SubtitleTrack, ...]:
    """The subtitles of a film, as outlines have them."""
    return tuple(
        SubtitleTrack(
            number=number,
            stream=track.index,
            codec=track.codec,
            language=tag_of(track.language),
            label=label_of(track.language, track.title, unknown="Subtitles"),
            convertible=track.codec in TEXT_SUBTITLES,
            forced=track.forced,
        )
        for number, track in enumerate(facts.subtitles)
    )


def _pieces(track: StoredTrack, cuts: Plan) -> tuple[int, ...] | None:
    """The packets that the segments begin with; None where some cannot begin one, as in a track whose times go back.

    Or where one has too many packets.
    """
    try:
        pieces = cut(track, cuts) if cuts.on_keyframes else None
    except ValueError:
        return None
    if pieces is None or max(map(sub, pieces[1:], pieces)) > MOST_PACKETS:
        return None
    return pieces


def _exactly(track: StoredTrack, cuts: Plan, pieces: Sequence[int]) -> tuple[int, int]:
    """Peak and average of the track's own packets, in bits/s."""
    bits = [
        bandwidth.segment_bits(sum(track.columns(first, stop).sizes), stop - first)
        for first, stop in pairwise(pieces)
    ]
    return (
        bandwidth.peak(bits, cuts.durations, cuts.timescale),
        bandwidth.average(bits, cuts.durations, cuts.timescale),
    )


def _on_clock(times: Iterable[int], timescale: int, to: int) -> tuple[int, ...]:
    """Times in ticks of another clock, rounded half up as ffmpeg does (AV_ROUND_NEAR_INF); each later than the one before."""
    moved: list[int] = []
    for time in times:
        ticks = (2 * time * to + timescale) // (2 * timescale)
        moved.append(max(ticks, moved[-1] + 1) if moved else ticks)
    return tuple(moved)
