"""A film's `moov` (ISO/IEC 14496-12 s8.2) read: its tracks, their edit lists and every sample's time, size and place.

Bounded whatever the file says: counts are held against the bytes that are there before anything is allocated, nothing
recurses, and only errors of the error table come out.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import chain, islice, repeat, takewhile
from operator import add

from media_service.errors import AbsurdMedia, BrokenMedia, EncryptedMedia
from media_service.mp4.boxes import Box, children, fields, find, require
from media_service.mp4.sample_entry import SampleEntry, read_sample_entry
from media_service.mp4.tables import SampleTable, read_table

MAX_SAMPLES = (
    10_000_000  # of all tracks: a day of 60 frames per second and its sound, 25 bytes of columns each
)

MAX_TRACKS = 128  # each costs a pass over its boxes; twice what the service accepts by default
MAX_EDITS = 10_000  # of one track: an editor's timeline has some hundreds


@dataclass(frozen=True, slots=True)
class Edit:
    """A piece of the timeline (s8.6.6): `duration` in ticks of the movie, `media_time` in ticks of the track.

    `media_time` is None for an empty edit, in which nothing of the track is shown.
    """

    duration: int
    media_time: int | None


@dataclass(frozen=True, slots=True)
class Track:
    """One track that is seen ("vide") or heard ("soun"). Times are in ticks; `timescale` is ticks per second."""

    track_id: int
    handler: str
    entry: SampleEntry
    timescale: int
    movie_timescale: int
    edits: tuple[Edit, ...]
    samples: SampleTable

    @property
    def count(self) -> int:
        """How many samples; of raw sound, how many chunks."""
        return len(self.samples.sizes)

    @property
    def delay(self) -> int:
        """The empty edits in front of the track, in ticks of the track."""
        empty = takewhile(lambda edit: edit.media_time is None, self.edits)
        return self._ticks(sum(edit.duration for edit in empty))

    @property
    def shift(self) -> int:
        """What to add to decode time plus composition offset for the time at which a player shows the sample.

        Follows the empty edits in front and the first real one: what encoders, phones and cameras write. A film that
        was cut with further edits shows its later samples earlier than this says.
        """
        first = next((edit.media_time for edit in self.edits if edit.media_time is not None), 0)
        return self.delay - first

    def presentation_times(self) -> array[int]:
        """When each sample is shown ("q"), in decoding order; samples before `delay` are trimmed by the edit list.

        Raises BrokenMedia for an edit list that puts them beyond 64 bits.
        """
        table = self.samples
        shown = map(add, table.decode_times, table.composition_offsets)
        try:
            return array("q", map(add, shown, repeat(self.shift)))
        except OverflowError:
            raise BrokenMedia("the edit list names times beyond all films") from None

    def presentation_span(self) -> tuple[int, int] | None:
        """When the first sample begins to be shown and the last one ends, trimmed by the edit list; None without any."""
        if not self.count:
            return None
        times = self.presentation_times()
        table = self.samples
        # A sample ends where the next one is decoded, moved by its own offset. No list: there may be millions.
        ends = chain(islice(table.decode_times, 1, None), (table.decode_stop,))
        stop = max(map(add, ends, table.composition_offsets))
        start, stop = max(min(times), self.delay), stop + self.shift
        shown = sum(edit.duration for edit in self.edits if edit.media_time is not None)
        if shown:
            stop = min(stop, self.delay + self._ticks(shown))
        return start, max(start, stop)

    def _ticks(self, movie_ticks: int) -> int:
        """Movie ticks as ticks of the track, rounded to the nearest."""
        return (2 * movie_ticks * self.timescale + self.movie_timescale) // (2 * self.movie_timescale)


@dataclass(frozen=True, slots=True)
class Movie:
    """What a `moov` says. `duration` is in ticks of `timescale` and may lie.

    `fragmented`: samples also, or only, lie in fragments, which are not read here. Tracks that are neither seen nor heard
    (subtitles, timecodes, chapters) are left out.
    """

    timescale: int
    duration: int
    tracks: tuple[Track, ...]
    fragmented: bool


def read_movie(moov: bytes, *, file_size: int) -> Movie:
    """The movie in the whole box `moov` (header included) of a file of `file_size` bytes.

    Raises BrokenMedia when the tables contradict each other or are missing, TruncatedMedia when a sample lies beyond the
    end of the file, EncryptedMedia, AbsurdMedia for more samples, tracks or edits than any real film has.
    """
    outer = require(moov, "moov")
    inside = list(children(moov, outer))
    names = {box.type for box in inside}
    if "pssh" in names:
        raise EncryptedMedia("the film is protected by DRM")
    timescale, duration = _scale_and_duration(moov, require(moov, "mvhd", within=outer))
    tracks: list[Track] = []
    others = 0
    left = MAX_SAMPLES
    for trak in inside:
        if trak.type != "trak":
            continue
        if len(tracks) + others == MAX_TRACKS:
            raise AbsurdMedia(f"the film has more than {MAX_TRACKS} tracks")
        mdia = require(moov, "mdia", within=trak)
        handler = fields("4s", moov, require(moov, "hdlr", within=mdia), 8)[0].decode("latin-1")
        if handler not in {"vide", "soun"}:
            others += 1
            continue
        tracks.append(_read_track(moov, trak, mdia, handler, timescale, file_size=file_size, limit=left))
        left -= tracks[-1].count
    return Movie(timescale, duration, tuple(tracks), "mvex" in names)


def _read_track(
    moov: bytes, trak: Box, mdia: Box, handler: str, movie_timescale: int, *, file_size: int, limit: int
) -> Track:
    stbl = require(moov, "minf", "stbl", within=mdia)
    entry = read_sample_entry(moov, require(moov, "stsd", within=stbl), handler)
    if entry.encrypted:
        raise EncryptedMedia(f"the {'picture' if handler == 'vide' else 'sound'} is encrypted")
    tkhd = require(moov, "tkhd", within=trak)
    (track_id,) = fields("I", moov, tkhd, 20 if fields("B", moov, tkhd)[0] else 12)
    timescale, _ = _scale_and_duration(moov, require(moov, "mdhd", within=mdia))
    return Track(
        track_id=track_id,
        handler=handler,
        entry=entry,
        timescale=timescale,
        movie_timescale=movie_timescale,
        edits=_read_edits(moov, trak),
        samples=read_table(moov, stbl, file_size=file_size, limit=limit),
    )


def _scale_and_duration(moov: bytes, box: Box) -> tuple[int, int]:
    """Timescale and duration of an `mvhd` or `mdhd`, which begin alike."""
    long = fields("B", moov, box)[0] == 1
    timescale, duration = fields("IQ" if long else "II", moov, box, 20 if long else 12)
    if not timescale:
        raise BrokenMedia(f"the {box.type!r} box has no timescale")
    return timescale, duration


def _read_edits(moov: bytes, trak: Box) -> tuple[Edit, ...]:
    box = find(moov, "edts", "elst", within=trak)
    if box is None:
        return ()
    version, count = fields("B3xI", moov, box)
    layout, step = ("Qq4x", 20) if version == 1 else ("Ii4x", 12)
    if count > MAX_EDITS:
        raise AbsurdMedia(f"a track claims {count} edits")
    if count * step > box.size:
        raise BrokenMedia("the edit list claims more entries than it has")
    entries = (fields(layout, moov, box, 8 + step * number) for number in range(count))
    return tuple(Edit(duration, None if time == -1 else time) for duration, time in entries)
