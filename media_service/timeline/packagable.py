"""Which tracks of an MP4 or QuickTime original are fit to be packaged, and their init segments.

A track is when the players that this service is for decode it as it is (HTML5 with Media Source Extensions in Chrome,
Firefox and Safari, AVPlayer, ExoPlayer), and fragments without an edit list can say of it what its tables said:

- Pictures: H.264 (8 bits), HEVC, AV1 and VP9 (8 or 10 bits), 4:2:0, progressive, whose parameter sets are in the sample
  entry. Which of them a player can decode it reads from `codecs`; renditions in H.264 stand beside it. Not H.264 in open
  groups: Chrome begins at IDR pictures only, whatever the container says, and stands still after a seek to another.
- Sounds: AAC-LC and HE-AAC in mono and stereo only. Opus, FLAC and MP3 in MP4 and Dolby's codecs are refused by one player
  or another, and a film whose only sound is not decoded is silent.
- Encoded with one sample entry, not encrypted, every packet's place known, at most one edit, and what that shows begins at a
  sync sample: nothing decoded only to be thrown away, which fragments cannot say.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from operator import sub

from media_service.mp4.boxes import require
from media_service.mp4.init_segment import build_init, init_track
from media_service.mp4.plain_entry import find_trak, plain_picture, plain_sound, turn, uses_one_entry
from media_service.mp4.sample_entry import SampleEntry, read_sample_entry
from media_service.mp4.samples import Movie
from media_service.timeline.decode_times import DEEPEST, ROOM, step_of
from media_service.timeline.facts import AudioFacts, Facts, VideoFacts
from media_service.timeline.index import Columns, Kind
from media_service.timeline.index_codec import BLOCK
from media_service.timeline.index_tables import pair_tracks
from media_service.timeline.outline import VideoRange
from media_service.timeline.plan import Plan
from media_service.timeline.stored_index import StoredIndex, StoredTrack

TRACK_ID = 1
FINE_TIMESCALE = 90_000  # ticks/s: of a track whose own clock has no room between its pictures, at least
MOST_TICKS = 1 << 30  # between two packets: half of what a fragment can say, as decode times are bent
# Sound that begins later than this is encoded, with silence in front: hls.js jumps over longer holes (maxBufferHole), and
# with the sound over the beginning of the picture.
LATE_SOUND_SECONDS = Fraction(1, 10)

_EIGHT_BITS = frozenset({"yuv420p", "yuvj420p"})
_TEN_BITS = _EIGHT_BITS | {"yuv420p10le"}
# Chrome and Firefox decode 10-bit H.264, no hardware and no Safari does.
_PIXELS = {"avc1": _EIGHT_BITS, "hvc1": _TEN_BITS, "av01": _TEN_BITS, "vp09": _TEN_BITS}
_RANGES: dict[str | None, VideoRange] = {"smpte2084": "PQ", "arib-std-b67": "HLG"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedTrack:
    """A track that can be packaged. `init` is its whole init segment, `codecs` its RFC 6381 name.

    `timescale` (ticks/s) is that of its segments: the source's, or a multiple of it (`boundaries`). `width` and `height` are
    in pixels as shown, upright and stretched; `frame_rate` is frames/s on average; `sample_rate` is in Hz.
    """

    stream: int
    kind: Kind
    init: bytes
    codecs: str
    timescale: int
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    video_range: VideoRange = "SDR"
    channels: int | None = None
    sample_rate: int | None = None

    def boundaries(self, plan: Plan) -> tuple[int, ...]:
        """The boundaries of the source's own plan in ticks of `timescale`."""
        return tuple(time * self.timescale // plan.timescale for time in plan.boundaries)


def packagable(facts: Facts, movie: Movie, index: StoredIndex, moov: bytes) -> dict[int, PackagedTrack]:
    """The tracks that can be packaged, by stream number; `movie` is what the whole box `moov` says.

    Reads the whole index of these tracks: a second or two for three hours of film. Raises IndexCorrupt.
    """
    found: dict[int, PackagedTrack] = {}
    for stream, track in pair_tracks(movie, facts) or ():
        stored = next((one for one in index.tracks if one.stream == stream), None)
        trak = find_trak(moov, track.track_id)
        if stored is None or trak is None or not stored.exact_offsets:
            continue
        real_edits = sum(edit.media_time is not None for edit in track.edits)
        if real_edits > 1 or not uses_one_entry(moov, trak, fragmented=movie.fragmented):
            continue
        if track.handler == "soun":
            sound = next(one for one in facts.audio if one.index == stream)
            made = packaged_sound(sound, stored, plain_sound(moov, trak))
        else:
            assert facts.video is not None, "a picture was paired with it"
            video = facts.video
            stsd = plain_picture(
                moov, trak, sample_aspect=video.sample_aspect, full_range=video.color_range == "pc"
            )
            # Mirrored pictures, and what a matrix of the whole movie turns, are encoded upright.
            made = packaged_picture(video, stored, stsd) if turn(moov, trak) == video.rotation else None
        if made is not None:
            found[stream] = made
    return found


def whole_range(track: StoredTrack) -> tuple[int, int]:
    """The numbers of the first packet to be packaged and of the one after the last; (0, 0) when there is none.

    The first that is shown, of sound the first that begins in the film; the last that is shown.
    """
    blocks = range(0, track.count, BLOCK)
    first = next((number for start in blocks for number in _whole(track, start)), None)
    if first is None:
        return 0, 0
    last = next(number for start in reversed(blocks) for number in reversed(_whole(track, start)))
    return first, last + 1


def _whole(track: StoredTrack, start: int) -> list[int]:
    """The numbers of the packets in one block that are to be packaged."""
    columns = track.columns(start, start + BLOCK)
    rows = zip(columns.shown, columns.times, strict=True)
    return [
        start + number
        for number, (shown, time) in enumerate(rows)
        if shown and (track.kind == "video" or time >= 0)
    ]


def packaged_picture(video: VideoFacts, track: StoredTrack, stsd: bytes | None) -> PackagedTrack | None:
    """The track of the picture with this `stsd` (None: there can be none), where it is fit to be packaged."""
    if stsd is None or video.interlaced:
        return None
    entry = _entry(stsd, "vide")
    if video.pixel_format not in _PIXELS.get(entry.format, ()) or entry.codec == entry.format:
        return None
    if entry.format == "avc1" and any(track.sync.leading):
        return None
    columns = track.columns(*whole_range(track))
    # Leading pictures of the first keyframe, which need what is not there, may be left out: nothing else depends on them.
    shown = columns.only(columns.shown)
    if any(time >= track.start for time in _hidden(columns)) or not _can_be_cut(shown, track.timescale):
        return None
    scale = _scale(track, shown.times)
    if scale is None or not shown.sync[0] or shown.times[0] != min(shown.times):
        return None
    width, height = video.display_size
    return PackagedTrack(
        stream=track.stream,
        kind="video",
        init=_init(entry, stsd, "vide", track.timescale * scale, video.rotation),
        codecs=entry.codec,
        timescale=track.timescale * scale,
        width=width,
        height=height,
        frame_rate=len(shown) * track.timescale / (track.stop - track.start),
        video_range=_RANGES.get(video.color_transfer, "SDR"),
    )


def packaged_sound(sound: AudioFacts, track: StoredTrack, stsd: bytes | None) -> PackagedTrack | None:
    """The same of a track of sound."""
    if stsd is None or sound.codec != "aac" or not sound.decodable or sound.channels > 2:
        return None
    columns = track.columns(*whole_range(track))
    if not _can_be_cut(columns, track.timescale) or not all(columns.shown) or not track.all_sync:
        return None
    late = columns.times[0] > LATE_SOUND_SECONDS * track.timescale
    if late or _closest(columns.times) < step_of(track.timescale):
        return None
    entry = _entry(stsd, "soun")
    return PackagedTrack(
        stream=track.stream,
        kind="audio",
        init=_init(entry, stsd, "soun", track.timescale, 0),
        codecs=entry.codec,
        timescale=track.timescale,
        channels=sound.channels,
        sample_rate=sound.sample_rate,
    )


def _entry(stsd: bytes, handler: str) -> SampleEntry:
    return read_sample_entry(stsd, require(stsd, "stsd"), handler)


def _init(entry: SampleEntry, stsd: bytes, handler: str, timescale: int, rotation: int) -> bytes:
    return build_init(
        init_track(entry, stsd, track_id=TRACK_ID, timescale=timescale, handler=handler, rotation=rotation)
    )


def _hidden(columns: Columns) -> Iterable[int]:
    """When what is not shown would be."""
    return (time for time, shown in zip(columns.times, columns.shown, strict=True) if not shown)


def _can_be_cut(columns: Columns, timescale: int) -> bool:
    """Whether there are packets at all, each has bytes in a known place, and no two are too far apart for a fragment."""
    if not len(columns) or min(columns.sizes) <= 0 or min(columns.offsets) < 0:
        return False
    steps = map(sub, islice(columns.decode_times, 1, None), columns.decode_times)
    waits = map(sub, columns.times, columns.decode_times)
    return all(abs(ticks) <= MOST_TICKS // _finer(timescale) for ticks in chain(steps, waits))


def _scale(track: StoredTrack, times: array[int]) -> int | None:
    """By how much the clock of a picture track must be finer so that pictures can be decoded in close order.

    None where they come in an order that no decoder takes, or closer than any film's.
    """
    closest, room = _closest(times), 1
    if closest <= 0:
        order = sorted(range(len(times)), key=times.__getitem__)
        if track.all_sync or max(map(abs, map(sub, order, range(len(times))))) > DEEPEST:
            return None
        closest, room = _closest([times[number] for number in order]), ROOM
    for scale in (1, _finer(track.timescale)):
        if closest * scale >= room * step_of(track.timescale * scale):
            return scale
    return None


def _closest(times: Sequence[int]) -> int:
    """Ticks between the two that are closest in this order, negative where one is before the last; many for one alone."""
    return min(map(sub, islice(times, 1, None), times), default=MOST_TICKS)


def _finer(timescale: int) -> int:
    """What makes a clock one of FINE_TIMESCALE at least."""
    return -(-FINE_TIMESCALE // timescale)
