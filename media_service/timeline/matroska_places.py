"""Where exactly the packets of a Matroska or WebM film lie, and when exactly its AAC is heard.

Its demuxer tells of each packet where the block begins that it came in, not where the packet does, and all times in
milliseconds. Here a pass over the blocks is laid beside the demuxer's: where every frame is as large as its packet, and there
are as many, the frame's place is the packet's.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from operator import sub

from media_service.errors import AbsurdMedia, BrokenMedia
from media_service.matroska.ebml import Read
from media_service.matroska.frames import Frames, find_frames
from media_service.matroska.tracks import AUDIO, VIDEO, MatroskaTrack, read_tracks
from media_service.timeline.facts import AudioFacts, Facts
from media_service.timeline.index import MAX_TICKS, Index, TrackIndex

# The codecs whose packets are the frames as they lie in the file (draft-ietf-cellar-codec), and what ffmpeg calls them.
CODECS = {
    "V_MPEG4/ISO/AVC": "h264",
    "V_MPEGH/ISO/HEVC": "hevc",
    "V_AV1": "av1",
    "V_VP9": "vp9",
    "V_VP8": "vp8",
    "A_AAC": "aac",
    "A_OPUS": "opus",
    "A_VORBIS": "vorbis",
}
_AAC_FRAME = (
    1024  # samples in a packet of AAC; with spectral band replication, twice as many of twice the rate
)
_SUBTITLE, _METADATA = 17, 33  # the other types of track that ffmpeg makes streams of
_TYPES = {"video": VIDEO, "audio": AUDIO}


def pair_tracks(tracks: tuple[MatroskaTrack, ...], facts: Facts) -> dict[int, MatroskaTrack]:
    """The film's tracks by ffmpeg's stream number: it counts them in the order that the film lists them.

    Those alone whose frames are the packets; none at all where one is of another kind than what was probed.
    """
    streams = [
        track for track in tracks if track.type in {VIDEO, AUDIO, _SUBTITLE, _METADATA} and track.codec
    ]
    found: dict[int, MatroskaTrack] = {}
    probed = (
        *(() if facts.video is None else ((facts.video, VIDEO),)),
        *((one, AUDIO) for one in facts.audio),
    )
    for fact, kind in probed:
        track = streams[fact.index] if fact.index < len(streams) else None
        if track is None or track.type != kind:
            return {}
        if CODECS.get(track.codec) == fact.codec and track.plain:
            found[fact.index] = track
    return found


def place(read: Read, size: int, facts: Facts, index: Index) -> tuple[Index, dict[int, MatroskaTrack]]:
    """The index with exact offsets, of AAC also with exact times; and the tracks that have them, by stream number.

    `index` is what a pass of the demuxer over all packets of the file found, of `size` bytes. Tracks that do not agree with
    it are left as they are, and so is all of a film that is damaged. Takes some seconds for a long film.
    """
    try:
        pairs = pair_tracks(read_tracks(read, size), facts)
        if not pairs:
            return index, {}
        most = sum(len(track.columns) for track in index.tracks)
        frames = find_frames(read, size, {track.number for track in pairs.values()}, most=most)
    except (BrokenMedia, AbsurdMedia):
        return index, {}
    sounds = {sound.index: sound for sound in facts.audio}
    placed = [
        track if track.stream not in pairs else _placed(track, frames[pairs[track.stream].number], sounds)
        for track in index.tracks
    ]
    exact = {track.stream: pairs[track.stream] for track in placed if track.exact_offsets}
    return replace(index, tracks=tuple(placed)), exact


def _placed(track: TrackIndex, frames: Frames, sounds: Mapping[int, AudioFacts]) -> TrackIndex:
    if frames.sizes != track.columns.sizes:
        return track
    track = replace(track, exact_offsets=True, columns=replace(track.columns, offsets=frames.offsets))
    sound = sounds.get(track.stream)
    if sound is None or sound.codec != "aac":
        return track
    return on_sample_clock(track, sound.sample_rate) or track


def on_sample_clock(track: TrackIndex, rate: int) -> TrackIndex | None:
    """A track of AAC in samples of `rate` (Hz): packet n begins n packets after the first one.

    None where some packet would begin more than a tick away from when the container says, as after a hole. The first one is
    where all of them agree best, but not before the film if the container does not say so.
    """
    told = track.columns.times
    if not told or track.timescale >= rate or max(abs(min(told)), abs(max(told))) * rate > MAX_TICKS:
        return None
    for samples in (_AAC_FRAME, 2 * _AAC_FRAME):
        # How late each is compared with a first one at 0, in ticks of both clocks: 1 / (timescale * rate) s.
        earliest, latest = (
            found(map(sub, map(rate.__mul__, told), count(0, samples * track.timescale)))
            for found in (min, max)
        )
        first = (earliest + latest) // 2 // track.timescale
        if told[0] >= 0:
            first = max(0, first)
        if max(latest - first * track.timescale, first * track.timescale - earliest) <= rate:
            times = array("q", range(first, first + len(told) * samples, samples))
            columns = replace(track.columns, times=times, decode_times=times)
            begins = first if track.start == told[0] else round(track.start * rate / track.timescale)
            return replace(
                track,
                timescale=rate,
                start=begins,
                stop=first + len(told) * samples,
                columns=columns,
            )
    return None
