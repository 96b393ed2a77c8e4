"""One pass over all packets of a source, without decoding: how many, from when to when.

Streaming, in the memory of a few numbers per track, whatever the file's length.
"""

from __future__ import annotations

from media_service import errors
from media_service.ffmpeg.fence import Limits, input_options, source_url
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.timeline.facts import Facts
from media_service.timeline.packets import Packets, StreamPackets

LONGEST_LINE = 4096  # bytes; real ones have under 80


async def scan(fd: int, facts: Facts, limits: Limits) -> Packets:
    """Count the packets of the file behind `fd`. Raises BrokenMedia when the file cannot be read to any packet.

    A file that breaks off gives what was read up to there: whether that is enough is the caller's to say. Raises
    AbsurdMedia when it takes longer than `limits` allow.
    """
    argv = [
        *("ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries"),
        "packet=stream_index,pts_time,dts_time,duration_time,size,flags",
        *(part for name, value in input_options(limits).items() for part in (f"-{name}", value)),
        source_url(fd),
    ]
    counter = PacketCounter(facts.start_seconds)
    with Pipe() as stdout:
        try:
            async with start(argv, limits=limits, pass_fds=(fd,), stdout=stdout):
                async for chunk in stdout:
                    counter.feed(chunk)
        except (errors.TranscodeTooLong, errors.TranscodeStalled) as error:
            raise errors.AbsurdMedia("Reading the file took longer than any real film needs.") from error
        except errors.TranscodeFailed as error:
            if not counter.packets().streams:
                raise errors.BrokenMedia("The film's tracks cannot be read: the file is damaged.") from error
    return counter.packets()


class PacketCounter:
    """Push parser over ffprobe's lines `stream,pts,dts,duration,size,flags`, `N/A` for what is unknown."""

    def __init__(self, start_seconds: float) -> None:
        self._origin = start_seconds
        self._rest = b""
        self._tracks: dict[int, _Track] = {}

    def feed(self, data: bytes) -> None:
        """Take the next bytes, in any split."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            self._rest = b""
        for line in lines:
            self._line(line)

    def _line(self, line: bytes) -> None:
        fields = line.split(b",")
        if len(fields) < 6 or not fields[0].isdigit():
            return
        index = int(fields[0])
        track = self._tracks.get(index)
        if track is None:
            track = self._tracks[index] = _Track()
        decode, duration = _number(fields[2]), _number(fields[3])
        shown = _number(fields[1])
        track.add(
            decode if shown is None else shown,
            decode,
            duration,
            size=int(fields[4]) if fields[4].isdigit() else 0,
            key=b"K" in fields[5],
            dropped=b"D" in fields[5],
        )

    def packets(self) -> Packets:
        """What was counted so far."""
        return Packets(
            tuple(self._tracks[index].result(index, self._origin) for index in sorted(self._tracks))
        )


class _Track:
    def __init__(self) -> None:
        self.count = self.key_count = self.size = 0
        self.start: float | None = None
        self.last: float | None = None  # presentation time of the packet shown last
        self.last_duration: float | None = None
        self.decoded: float | None = None  # decode time of the newest packet
        self.step = 0.0  # between the two newest decode times

    def add(
        self,
        shown: float | None,
        decode: float | None,
        duration: float | None,
        *,
        size: int,
        key: bool,
        dropped: bool,
    ) -> None:
        self.size += size
        if dropped:
            return  # the edit list cuts it away: it is decoded, and never shown
        self.count += 1
        self.key_count += key
        if decode is not None:
            if self.decoded is not None and decode > self.decoded:
                self.step = decode - self.decoded
            self.decoded = decode
        if shown is None:
            return
        if self.start is None or shown < self.start:
            self.start = shown
        if self.last is None or shown >= self.last:
            self.last, self.last_duration = shown, duration

    def result(self, index: int, origin: float) -> StreamPackets:
        stop = None
        if self.last is not None:
            # Matroska and fragmented MP4 may not say how long the last packet lasts: as long as the one before.
            stop = self.last + (self.step if self.last_duration is None else self.last_duration) - origin
        return StreamPackets(
            index=index,
            count=self.count,
            key_count=self.key_count,
            size=self.size,
            start_seconds=None if self.start is None else self.start - origin,
            stop_seconds=stop,
        )


def _number(field: bytes) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None
