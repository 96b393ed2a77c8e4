"""One pass over all packets of a source, without decoding: when each is shown, and where it lies.

Needed where a container has no tables that tell, or where they tell only half. Streaming; what is kept is the index.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from media_service import errors
from media_service.ffmpeg.fence import Limits, input_options, source_url
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.timeline.facts import Facts
from media_service.timeline.index import Index
from media_service.timeline.index_rows import PacketIndexer, SourceStream


async def scan(fd: int, facts: Facts, limits: Limits) -> Index:
    """Index the file behind `fd`. Raises BrokenMedia when the file cannot be read to any packet.

    A file that breaks off gives what was read up to there: whether that is enough is the caller's to say. Raises
    AbsurdMedia when it takes longer than `limits` allow, or has more packets than any real film.
    """
    argv = [
        *("ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries"),
        "packet=stream_index,pts,dts,duration,size,pos,flags",
        *(part for name, value in input_options(limits).items() for part in (f"-{name}", value)),
        source_url(fd),
    ]
    # Only the MOV demuxer's positions are those of the packets' own bytes; the others' are those of what is around them.
    indexer = PacketIndexer(
        sorted(_streams(facts), key=lambda stream: stream.stream),
        payload_offsets="mov" in facts.container.split(","),
    )
    failure: errors.TranscodeFailed | None = None
    with Pipe() as stdout:
        try:
            async with start(argv, limits=limits, pass_fds=(fd,), stdout=stdout):
                async for chunk in stdout:
                    indexer.feed(chunk)
        except (errors.TranscodeTooLong, errors.TranscodeStalled) as error:
            raise errors.AbsurdMedia("Reading the file took longer than any real film needs.") from error
        except errors.TranscodeFailed as error:
            failure = error
    index = indexer.finish(origin=facts.origin)
    if failure is not None and not index.tracks:
        raise errors.BrokenMedia("The film's tracks cannot be read: the file is damaged.") from failure
    return index


def _streams(facts: Facts) -> Iterator[SourceStream]:
    if facts.video is not None and (base := facts.video.time_base) is not None:
        yield SourceStream(facts.video.index, "video", Fraction(*base), facts.video.start_ticks)
    for track in facts.audio:
        if (base := track.time_base) is not None:
            yield SourceStream(track.index, "audio", Fraction(*base), track.start_ticks)
