"""Facts about an uploaded file, from ffprobe; every field of its answer is taken as a stranger's claim.

ffprobe lies in known ways: it ends with status 1 and half a JSON document, it ends with 0 for files without a single stream,
durations are absent or 40 hours for a second, cover pictures look like video, and codecs come without a name. What is
refused is refused with a sentence of ours, never with ffmpeg's.
"""

from __future__ import annotations

import os

from media_service import errors
from media_service.ffmpeg.containers import container_of
from media_service.ffmpeg.fence import PROBE_LIMITS, Limits, input_options, source_url
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.ffmpeg.reading import Report, facts_of, parse_report
from media_service.timeline.facts import Facts

FIRST_PACKETS = 64  # looked at for marks of encryption: enough to meet every track of an interleaved file
MOST_PIXELS = 2**31 - 1  # ffmpeg's own bound of the option
HEAD_BYTES = 4096  # of the file, by which a damaged container is told from something else

_decoders: frozenset[str] | None = None  # asked of the installed ffmpeg once; it does not change while we run


async def probe(fd: int, limits: Limits) -> Facts:
    """What ffprobe finds in the file behind `fd` (seekable; its position is neither used nor moved).

    Of `limits`, `max_pixels` and `max_streams` describe what is accepted; time and memory are PROBE_LIMITS', which no
    honest file needs. Raises EmptyUpload, NotMedia, BrokenMedia, EncryptedMedia or AbsurdMedia with a sentence for a person.
    A declared duration is passed on and not believed: only the packets tell.
    """
    if os.fstat(fd).st_size == 0:
        raise errors.EmptyUpload("The file has no bytes.")
    container = container_of(os.pread(fd, HEAD_BYTES, 0))
    report = await _report(fd, limits, container)
    return facts_of(report, await decoders(), limits, container)


async def _report(fd: int, limits: Limits, container: str | None) -> Report:
    """ffprobe's answer, parsed. Its exit status does not count: what counts is whether it opened a container."""
    report = await _ask(fd, limits.max_pixels)
    if report is None and container is not None:
        # Perhaps only too large to open: then its size can be named. PROBE_LIMITS bound what this costs.
        report = await _ask(fd, MOST_PIXELS)
    if report is None:
        raise _unreadable(container)
    return report


async def _ask(fd: int, max_pixels: int) -> Report | None:
    # So many streams that too many can be counted and named; ffprobe itself stops at a thousand.
    options = input_options(Limits(max_pixels=max_pixels, max_streams=1000))
    argv = [
        *("ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", "-show_packets"),
        *("-show_entries", "packet=stream_index:packet_side_data=side_data_type"),
        *("-read_intervals", f"%+#{FIRST_PACKETS}"),
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
        f"The file begins like {container}, but no film can be found in it: it is damaged, or cut off."
    )


async def decoders() -> frozenset[str]:
    """The names of the codecs that the installed ffmpeg can decode, as ffprobe's `codec_name` has them."""
    global _decoders  # noqa: PLW0603 - a constant of the installation that has to be asked for
    if _decoders is None:
        with Pipe() as stdout:
            argv = ["ffmpeg", "-hide_banner", "-codecs"]
            async with start(argv, limits=PROBE_LIMITS, stdout=stdout):
                listing = await stdout.read_all()
        # " DEV.LS h264    H.264 / AVC ... (decoders: ...)": the first flag is D when one is built in
        lines = (line.split(maxsplit=2) for line in listing.decode(errors="replace").splitlines())
        _decoders = frozenset(
            words[1] for words in lines if len(words) == 3 and len(words[0]) == 6 and words[0][0] == "D"
        )
    return _decoders
