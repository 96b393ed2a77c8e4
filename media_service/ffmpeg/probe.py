"""Facts about an uploaded file, from ffprobe; every field of its answer is taken as a stranger's claim.

ffprobe lies in known ways: it ends with status 1 and half a JSON document, it ends with 0 for files without a single stream,
durations are absent or 40 hours for a second, cover pictures look like video, and codecs come without a name. What is
refused is refused with a sentence of ours, never with ffmpeg's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from media_service import errors
from media_service.ffmpeg.containers import container_of
from media_service.ffmpeg.fence import FORMATS, PROBE_LIMITS, Limits, input_options, source_url
from media_service.ffmpeg.pictures import Picture
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.ffmpeg.reading import Report, facts_of, parse_report
from media_service.timeline.facts import Facts

FIRST_PACKETS = 64  # looked at for marks of encryption: enough to meet every track of an interleaved file
MOST_PIXELS = 2**31 - 1  # ffmpeg's own bound of the option
HEAD_BYTES = 4096  # of the file, by which a damaged container is told from something else

# What is asked of ffprobe beyond format and tracks.
_PACKETS = (
    *("-show_packets", "-show_entries", "packet=stream_index:packet_side_data=side_data_type"),
    *("-read_intervals", f"%+#{FIRST_PACKETS}"),
)
_FIRST_FRAME = (
    *("-show_frames", "-show_entries", "frame=stream_index:frame_side_data=rotation"),
    *("-read_intervals", "%+#1"),
)

# Asked of the installed ffmpeg once; it does not change while we run.
_decoders: frozenset[str] | None = None
_encoders: frozenset[str] | None = None


async def probe(fd: int, limits: Limits, formats: str = FORMATS) -> Facts:
    """What ffprobe finds in the file behind `fd` (seekable; its position is neither used nor moved).

    `formats`: the demuxers that may open it. Of `limits`, `max_pixels` and `max_streams` describe what is accepted; time and
    memory are PROBE_LIMITS', which no honest file needs. Raises EmptyUpload, NotMedia, BrokenMedia, EncryptedMedia or AbsurdMedia with a sentence for a person.
    A declared duration is passed on and not believed: only the packets tell.
    """
    if os.fstat(fd).st_size == 0:
        raise errors.EmptyUpload("The file has no bytes.")
    container = container_of(os.pread(fd, HEAD_BYTES, 0))
    report = await _report(fd, limits, container, formats, _PACKETS)
    return facts_of(report, await decoders(), limits, container)


async def probe_picture(fd: int, limits: Limits, kind: Picture) -> Facts:
    """The same for a still picture, which the file's first bytes say it is: its track of video is that one picture.

    How a camera was held stands in the picture itself (Exif), so it is decoded here, once. Raises the same errors.
    """
    report = await _report(fd, limits, kind.words, kind.demuxer, _FIRST_FRAME)
    if not any(stream.width for stream in report.streams):
        # Its decoder tells the size, and perhaps has refused it. As above: now it can be named.
        report = await _ask(fd, MOST_PIXELS, kind.demuxer, _FIRST_FRAME) or report
    if report.streams and report.frames:
        report.streams[0].side_data_list += report.frames[0].side_data_list
    return facts_of(report, await decoders(), limits, kind.words)


async def _report(
    fd: int, limits: Limits, container: str | None, formats: str, asked: Sequence[str]
) -> Report:
    """ffprobe's answer, parsed. Its exit status does not count: what counts is whether it opened a container."""
    report = await _ask(fd, limits.max_pixels, formats, asked)
    if report is None and container is not None:
        # Perhaps only too large to open: then its size can be named. PROBE_LIMITS bound what this costs.
        report = await _ask(fd, MOST_PIXELS, formats, asked)
    if report is None:
        raise _unreadable(container)
    return report


async def _ask(fd: int, max_pixels: int, formats: str, asked: Sequence[str]) -> Report | None:
    # So many streams that too many can be counted and named; ffprobe itself stops at a thousand.
    options = input_options(Limits(max_pixels=max_pixels, max_streams=1000), formats)
    argv = [
        *("ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", *asked),
        *(part for name, value in options.items() for part in (f"-{name}", value)),
        source_url(fd),
    ]
    answer = b""
    with Pipe() as stdout:
        try:
            async with start(argv, limits=PROBE_LIMITS, pass_fds=(fd,), stdout=stdout):
                answer = await stdout.read_all()
        except (errors.TranscodeTooLong, errors.TranscodeStalled) as error:
            raise errors.AbsurdMedia("Looking into the file took longer than any real film needs.") from error
        except errors.TranscodeFailed:
            pass  # status 1: half an answer may still be one
    report = parse_report(answer)
    return report if report is not None and report.format.format_name else None


def _unreadable(container: str | None) -> errors.MediaRejected:
    if container is None:
        return errors.NotMedia("The file is none of the video formats that are read here.")
    return errors.BrokenMedia(
        f"The file begins like {container}, but nothing can be found in it: it is damaged, or cut off."
    )


async def decoders() -> frozenset[str]:
    """The names of the codecs that the installed ffmpeg can decode, as ffprobe's `codec_name` has them."""
    global _decoders  # noqa: PLW0603 - a constant of the installation that has to be asked for
    if _decoders is None:
        # " DEV.LS h264    H.264 / AVC ... (decoders: ...)": the first flag is D when one is built in
        _decoders = frozenset(name for flags, name in await _listed("-codecs") if flags[0] == "D")
    return _decoders


async def encoders() -> frozenset[str]:
    """The names of the encoders that the installed ffmpeg has."""
    global _encoders  # noqa: PLW0603 - as above
    if _encoders is None:
        # " V....D libaom-av1    libaom AV1 (codec av1)"; above them is what the flags mean: " V..... = Video"
        _encoders = frozenset(name for _, name in await _listed("-encoders"))
    return _encoders


async def _listed(option: str) -> list[tuple[str, str]]:
    """Flags and names of what ffmpeg says it has."""
    with Pipe() as stdout:
        async with start(["ffmpeg", "-hide_banner", option], limits=PROBE_LIMITS, stdout=stdout):
            listing = await stdout.read_all()
    lines = (line.split(maxsplit=2) for line in listing.decode(errors="replace").splitlines())
    return [(words[0], words[1]) for words in lines if len(words) == 3 and len(words[0]) == 6]
