"""What ffmpeg writes of one rendition -> the rendition's segments. Bytes in, segments out; nothing is stored here.

ffmpeg puts a fragment at each keyframe, several to a segment, or of sound wherever it likes. The outline says where the
segments begin: the fragments between two boundaries become one, and what lies before the first of them (decoded only to
get there, or the encoder's own packet that primes decoders) or behind the last one is dropped. Runs cut apart so fit
together without a gap: a segment's last sample lasts until the next segment begins, whatever the encoder thought.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from media_service.errors import TranscodeFailed, TranscodeIncomplete, TruncatedMedia
from media_service.mp4.boxes import BoxCutter, CutBox
from media_service.mp4.fragments import Fragment, Sample, build_fragment, read_fragment
from media_service.mp4.init_segment import InitTrack, read_init
from media_service.timeline.outline import OutlineRendition

MAX_BOX_BYTES = 256 << 20  # 2 s at 1 Gbit/s: a box that is larger is a mistake
TRACK_ID = 1  # each rendition is a file of one track
# Two clocks round the same time to different ticks; frames are never as near to each other.
NEAR_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class MadeSegment:
    """A segment as it is stored: `data` is one `moof` and one `mdat`, whose samples begin at `payload_start`.

    `base_time` is the decode time of the first sample in ticks, the first picture alone the first `iframe_size` bytes.
    """

    number: int
    data: bytes
    payload_start: int
    base_time: int
    samples: tuple[Sample, ...]

    @property
    def digest(self) -> str:
        """Names these very bytes."""
        return hashlib.sha256(self.data).hexdigest()[:32]

    @property
    def iframe_size(self) -> int:
        """See above."""
        return self.payload_start + self.samples[0].size


class Segmenter:
    """Cuts the segments [first, stop) of a rendition out of what ffmpeg writes.

    `least(number)` is how many samples that segment must have. `lenient`: a first frame that comes late is shown early, as
    the first frame of every later segment is; else it means that decoding began too late. `number` is the segment that
    comes next, `init` the track once it is known, `reached` (s) how far of the film has come in.
    """

    def __init__(
        self,
        rendition: OutlineRendition,
        first: int,
        stop: int,
        *,
        least: Callable[[int], int],
        lenient: bool = False,
    ) -> None:
        self.rendition = rendition
        self.number = first
        self.init: InitTrack | None = None
        self.reached = float(rendition.seconds(first))
        self._first = first
        self._stop = stop
        self._least = least
        self._lenient = lenient
        self._near = max(1, round(NEAR_SECONDS * rendition.timescale))
        self._cutter = BoxCutter(MAX_BOX_BYTES)
        self._head = b""
        self._moof = b""
        # What has come of the segment that comes next.
        self._times: list[int] = []
        self._samples: list[Sample] = []
        self._payload: list[memoryview] = []

    def feed(self, chunk: bytes) -> Iterator[MadeSegment]:
        """The segments that `chunk` completes. Raises MediaRejected or TranscodeFailed for what is no such stream."""
        for box in self._cutter.feed(chunk):
            if box.type == "ftyp":
                self._head = box.data
            elif box.type == "moov":
                self._begin(read_init(self._head + box.data))
            elif box.type == "moof":
                self._moof = box.data
            elif box.type == "mdat":
                yield from self._add(box)

    def finish(self) -> Iterator[MadeSegment]:
        """The run ended well: the last segment, if it waited for that. Raises TranscodeFailed when something is missing."""
        try:
            self._cutter.finish()
        except TruncatedMedia as error:
            raise TranscodeFailed("The converter's output ends in the middle.") from error
        if self._samples:
            yield self._complete()
        if self.number < self._stop:
            raise TranscodeIncomplete(f"The converter ended before segment {self.number}.")

    def _begin(self, init: InitTrack) -> None:
        if init.timescale != self.rendition.timescale:
            raise TranscodeFailed(
                f"The converter counts {init.timescale} ticks a second, not {self.rendition.timescale}."
            )
        self.init = init

    def _add(self, mdat: CutBox) -> Iterator[MadeSegment]:
        if self.init is None or not self._moof:
            raise TranscodeFailed("The converter wrote media data without a description of it.")
        fragment = read_fragment(self._moof)
        self._moof = b""
        payload = memoryview(mdat.data)[mdat.header_size :]
        if fragment.size != len(payload):
            raise TranscodeFailed("The converter wrote more or less media data than it describes.")
        yield from self._cut(fragment, payload)

    def _cut(self, fragment: Fragment, payload: memoryview) -> Iterator[MadeSegment]:
        """Deal the samples out to the segments in which they are decoded."""
        times = list(accumulate((sample.duration for sample in fragment.samples), initial=fragment.base_time))
        places = list(accumulate((sample.size for sample in fragment.samples), initial=0))
        at = bisect_left(times, self._edge(self._first), hi=len(fragment.samples))
        while at < len(fragment.samples) and self.number < self._stop:
            after = bisect_left(times, self._edge(self.number + 1), lo=at, hi=len(fragment.samples))
            self._times += times[at:after]
            self._samples += fragment.samples[at:after]
            if after > at:
                self._payload.append(payload[places[at] : places[after]])
            at = after
            # The last duration in a fragment reaches to the next one: nobody has to wait for that.
            if at < len(fragment.samples) or times[-1] >= self._edge(self.number + 1):
                yield self._complete()
        self.reached = max(self.reached, times[-1] / self.rendition.timescale)

    def _edge(self, number: int) -> int:
        """From when on a sample belongs to that segment. What an edit list puts before time zero belongs to none."""
        return max(0, self.rendition.boundaries[number]) - self._near

    def _complete(self) -> MadeSegment:
        """The segment that comes next, of what has come. Raises TranscodeIncomplete when that is not all."""
        number, begin, end = self.number, *self.rendition.boundaries[self.number : self.number + 2]
        times, samples, payload = self._times, self._samples, b"".join(self._payload)
        self._times, self._samples, self._payload = [], [], []
        self._check(number, times, samples)
        # hls.js takes the first decode time for the playlist's. The film's first frame may come after the film has begun: it
        # is decoded with it, and shown when it is to be. No other segment's may; it is shown early, to leave no hole.
        base = max(begin, 0)
        if number == 0 and times[0] > base:
            samples[0] = samples[0]._replace(composition_offset=times[0] - base)
        times[0] = base
        durations = (after - before for before, after in pairwise((*times, max(end, times[-1] + 1))))
        fitted = tuple(
            sample._replace(duration=duration) for sample, duration in zip(samples, durations, strict=True)
        )
        # The same bytes, whichever run they come from: sequence numbers rise through the film (ISO/IEC 14496-12 s8.8.5).
        head = build_fragment(sequence=number + 1, track_id=TRACK_ID, base_time=base, samples=fitted)
        self.number += 1
        return MadeSegment(number, head + payload, len(head), base, fitted)

    def _check(self, number: int, times: Sequence[int], samples: Sequence[Sample]) -> None:
        if not samples:
            raise TranscodeIncomplete(f"Nothing came out of the converter for segment {number}.")
        if not samples[0].sync:
            raise TranscodeFailed(f"Segment {number} does not begin with a keyframe.")
        late = times[0] - self.rendition.boundaries[number]
        if late > self._near and number == self._first > 0 and not self._lenient:
            raise TranscodeIncomplete(
                f"Segment {number} begins {late / self.rendition.timescale:.3f} s late: its decoding began too late."
            )
        if len(samples) < (least := self._least(number)):
            what = "frames" if self.rendition.kind == "video" else "packets"
            raise TranscodeIncomplete(
                f"Segment {number} has {len(samples)} {what}; at least {least} were to come."
            )
