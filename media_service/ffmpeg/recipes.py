"""Facts and cuts -> argv. Pure: ffmpeg-python compiles, `ffmpeg.process` runs.

Times are the source's, counted from the start of its earliest track, wherever reading begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import ffmpeg

from media_service.ffmpeg.encoders import aac, fragments, h264, layout
from media_service.ffmpeg.fence import Limits, input_options, source_url
from media_service.ffmpeg.filters import (
    Filter,
    cut_sound,
    deinterlaced,
    earlier,
    every,
    scaled,
    through,
    to_sdr,
    trimmed,
)
from media_service.timeline.cutting import AudioCut, VideoCut
from media_service.timeline.facts import Facts, VideoFacts
from media_service.timeline.ladder import AudioRendition, VideoRendition

FILM_TIMES = ("-copyts", "-start_at_zero")
# Of MPEG-TS and its like ffmpeg counts from the start of the tracks that it was asked for, and not of all: unless times
# are moved in some other way as well. A microsecond is less than half a tick of their clocks.
MOVED = "0.000001"


def video_run(
    facts: Facts,
    *,
    source_fd: int,
    renditions: Sequence[tuple[VideoRendition, int]],
    cut: VideoCut,
    progress_fd: int,
    limits: Limits,
    threads: int,
) -> list[str]:
    """argv that makes the pictures of `cut` in all `renditions` from one decode, each as fragmented MP4 into its pipe.

    `renditions` come with the write ends of their pipes. Their clocks have 90,000 ticks per second of film,
    a fragment begins with each IDR frame. `threads` of each codec. Raises ValueError without a picture or renditions.
    """
    track = _track(facts)
    if not renditions:
        raise ValueError("nothing to make")
    largest = max((one for one, _ in renditions), key=lambda one: one.width * one.height)
    source = _source(source_fd, limits, cut.seek, threads=threads)[str(track.index)]
    # Deinterlacing looks at the frames around one, also around the first and last: so it comes before they are cut away.
    frames = through(
        source,
        [
            *earlier(cut.delay),
            *deinterlaced(track),
            trimmed(cut.starts[0], cut.stop),
            *to_sdr(track, largest.width, largest.height),
        ],
    )
    copies = frames.filter_multi_output("split", len(renditions)) if len(renditions) > 1 else [frames]
    encoding = {"force_key_frames": ",".join(map(_seconds, cut.keyframes)), **fragments(cut.stop)}
    outputs = []
    for number, (rendition, pipe_fd) in enumerate(renditions):
        thinned = every(rendition.frame_step, cut.starts)
        fitted = scaled(track, rendition.width, rendition.height)
        picture = through(copies[number], [*thinned, *fitted])
        outputs.append(picture.output(f"pipe:{pipe_fd}", **h264(rendition, threads), **encoding))
    return _run(outputs, progress_fd)


def audio_run(
    facts: Facts,
    *,
    source_fd: int,
    rendition: AudioRendition,
    pipe_fd: int,
    cut: AudioCut,
    progress_fd: int,
    limits: Limits,
) -> list[str]:
    """argv that makes the sound of `cut` as fragmented MP4 into the pipe whose write end is `pipe_fd`.

    The track's clock counts samples of film. Raises ValueError when `facts` do not have the track.
    """
    track = next((one for one in facts.audio if one.index == rendition.stream), None)
    if track is None:
        raise ValueError("the source has no such track of sound")
    if cut.silent:
        source = _made("anullsrc", r=rendition.sample_rate, cl=layout(rendition))
    else:
        source = _source(source_fd, limits, cut.seek, threads=1)[str(track.index)]
    output = through(source, cut_sound(track, cut, layout(rendition))).output(
        f"pipe:{pipe_fd}",
        **aac(rendition),
        **fragments(Fraction(cut.stop, rendition.sample_rate)),
    )
    return _run([output], progress_fd)


def inits(
    videos: Sequence[tuple[VideoRendition, int]],
    audios: Sequence[tuple[AudioRendition, int]],
    *,
    progress_fd: int,
) -> list[str]:
    """argv that writes the init segment of each rendition, and a fragment, into the pipe that comes with it.

    Nothing of a source is read: black frames and silence are encoded with the settings of the runs, on which alone
    the init segments depend. So a viewer may have them before anything of the film is decoded.
    """
    outputs = [
        through(
            _made("color", c="black", s=f"{one.width}x{one.height}", r=25),
            [Filter("format", {"pix_fmts": "yuv420p"}), Filter("setsar", {"sar": 1})],
        ).output(f"pipe:{pipe_fd}", **{"frames:v": 1}, **h264(one, threads=1), **fragments(Fraction(1)))
        for one, pipe_fd in videos
    ]
    outputs += [
        _made("anullsrc", r=one.sample_rate, cl=layout(one)).output(
            f"pipe:{pipe_fd}", **{"frames:a": 1}, **aac(one), **fragments(Fraction(1))
        )
        for one, pipe_fd in audios
    ]
    return _run(outputs, progress_fd)


def subtitles(*, source_fd: int, stream: int, limits: Limits) -> list[str]:
    """argv that writes the text subtitle track `stream` as WebVTT to standard output, in film times."""
    source = _source(source_fd, limits, None, threads=1)
    output = source[str(stream)].output(
        "pipe:1",
        **{"c:s": "webvtt", "map_metadata": -1, "map_chapters": -1, "fflags": "+bitexact", "f": "webvtt"},
    )
    argv: list[str] = output.global_args("-nostdin", "-v", "error", *FILM_TIMES).compile()
    return argv


def _run(outputs: Sequence[Any], progress_fd: int) -> list[str]:
    if not outputs:
        raise ValueError("nothing to make")
    graph = ffmpeg.merge_outputs(*outputs).global_args(
        *("-nostdin", "-v", "error", "-nostats", "-stats_period", "0.5", "-progress", f"pipe:{progress_fd}"),
        *("-abort_on", "empty_output"),
        *FILM_TIMES,
    )
    argv: list[str] = graph.compile()
    return argv


def _track(facts: Facts) -> VideoFacts:
    if facts.video is None:
        raise ValueError("the source has no picture")
    return facts.video


def _source(source_fd: int, limits: Limits, seek: Fraction | None, *, threads: int) -> Any:
    """The input. What is decoded too early is cut away by filters, to the frame and the sample."""
    place = {} if seek is None else {"ss": _seconds(seek), "noaccurate_seek": None}
    return ffmpeg.input(
        source_url(source_fd), threads=threads, itsoffset=MOVED, **place, **input_options(limits)
    )


def _made(name: str, **options: str | int) -> Any:
    """An input that one of ffmpeg's own filters makes."""
    return ffmpeg.input(f"{name}=" + ":".join(f"{key}={value}" for key, value in options.items()), f="lavfi")


def _seconds(time: Fraction) -> str:
    return f"{float(time):.6f}"
