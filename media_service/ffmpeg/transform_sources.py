"""A file that is to be transformed: what it is, and what can be made of it."""

from __future__ import annotations

import os
from typing import NamedTuple

from media_service.ffmpeg.fence import FORMATS, Limits
from media_service.ffmpeg.pictures import HEAD_BYTES, is_gif, picture_of
from media_service.ffmpeg.probe import probe, probe_picture
from media_service.timeline.facts import Facts
from media_service.wire.transforms import Kind

GIF = "gif"  # ffmpeg's demuxer, and the result of that name


class Source(NamedTuple):
    """What is known of the file before anything is made of it."""

    facts: Facts
    formats: str  # the demuxers that may open it
    own: str | None  # the result that is most like it (wire.transforms.RESULTS)
    kinds: tuple[Kind, ...]  # what can be made of it

    @property
    def is_still(self) -> bool:
        """Whether it is one picture, without any time."""
        return self.kinds == ("picture",)


async def look(fd: int, limits: Limits) -> Source:
    """The file behind `fd` (seekable). Raises as `ffmpeg.probe.probe` does."""
    head = os.pread(fd, HEAD_BYTES, 0)
    if (picture := picture_of(head)) is not None:
        facts = await probe_picture(fd, limits, picture)
        return Source(facts, picture.demuxer, picture.name, ("picture",))
    formats = GIF if is_gif(head) else FORMATS
    facts = await probe(fd, limits, formats)
    kinds: tuple[Kind, ...] = ()
    own = None
    if facts.video is not None:
        kinds, own = ("picture", "film"), GIF if formats == GIF else "mp4"
    if facts.main_audio is not None:
        kinds = (*kinds, "sound")
    return Source(facts, formats, own, kinds)
