"""A source and operations -> argv. Pure: one file goes in, one comes out of a pipe while it is made.

Nothing of the source's tags comes along (they may tell where it was shot), and nothing is written that is known only at the
end: all results can be shown or played while they are on their way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ffmpeg

from media_service.errors import InvalidRequest
from media_service.ffmpeg.encoders import FRAGMENT_SECONDS
from media_service.ffmpeg.fence import Limits, input_options, source_url
from media_service.ffmpeg.filters import HOLE_SECONDS, Filter, through
from media_service.ffmpeg.transform_filters import pictured, size_of
from media_service.ffmpeg.transform_sources import Source
from media_service.timeline.ladder import AUDIO_SAMPLE_RATE
from media_service.wire.transforms import Operations, Result

_ANYTHING: Mapping[str, Any] = {"map_metadata": -1, "map_chapters": -1, "fflags": "+bitexact"}
# moov comes with the first fragment, when it is known how much of the sound is the encoder's own (edit lists).
_FRAGMENTS = "+frag_keyframe+empty_moov+delay_moov+default_base_moof"
_KEYFRAMES = f"expr:gte(t,n_forced*{FRAGMENT_SECONDS})"

_PICTURES: Mapping[str, Mapping[str, Any]] = {
    "jpeg": {"c:v": "mjpeg", "q:v": 3, "flags:v": "+bitexact"},
    "png": {"c:v": "png"},
    "webp": {"c:v": "libwebp", "quality": 80},
}
# As `filters.scaled` makes it. Not a table that players guess from the size.
_COLOUR: Mapping[str, Any] = {
    "colorspace": "bt709",
    "color_primaries": "bt709",
    "color_trc": "bt709",
    "color_range": "tv",
}
_FILMS: Mapping[str, Mapping[str, Any]] = {
    "mp4": {
        "c:v": "libx264",
        "preset": "veryfast",
        "crf": 23,
        "profile:v": "high",
        "bf": 0,  # of fragments with composition offsets some players show the picture late (ffmpeg.encoders)
        "force_key_frames": _KEYFRAMES,
        "enc_time_base": "1:90000",  # variable rates keep their times
        "video_track_timescale": 90_000,
        **_COLOUR,
    },
    "webm": {
        "c:v": "libvpx-vp9",
        "deadline": "realtime",
        "cpu-used": 7,
        "row-mt": 1,
        "crf": 33,
        "b:v": 0,
        "force_key_frames": _KEYFRAMES,
        "enc_time_base": "1:1000",  # Matroska's
        **_COLOUR,
    },
    "gif": {"c:v": "gif", "loop": 0},
}
_SOUNDS: Mapping[str, Mapping[str, Any]] = {
    "mp4": {"c:a": "aac", "b:a": 160_000},
    "webm": {"c:a": "libopus", "b:a": 112_000},
    "m4a": {"c:a": "aac", "b:a": 160_000},
    # A constant rate: the table by which players would seek in another one is written at the end, to where the file begins.
    "mp3": {"c:a": "libmp3lame", "b:a": 192_000},
}
_MUXERS: Mapping[str, Mapping[str, Any]] = {
    "jpeg": {"f": "image2pipe"},
    "png": {"f": "image2pipe"},
    "webp": {"f": "image2pipe"},
    "mp4": {"f": "mp4", "movflags": _FRAGMENTS},
    "webm": {"f": "webm"},
    "gif": {"f": "gif"},
    "m4a": {"f": "ipod", "movflags": _FRAGMENTS, "frag_duration": FRAGMENT_SECONDS * 1_000_000},
    "mp3": {"f": "mp3", "write_xing": 0, "id3v2_version": 0},
}


def transform(
    source: Source,
    wanted: Operations,
    result: Result,
    *,
    source_fd: int,
    pipe_fd: int,
    progress_fd: int,
    limits: Limits,
    threads: int,
) -> list[str]:
    """argv that writes the `result` into the pipe whose write end is `pipe_fd`. `threads` of each codec and of all filters.

    `result` is what `wire.transforms.result_of` chose of the source's kinds. Raises InvalidRequest when a picture would become too
    large.
    """
    begins = {} if wanted.start is None else {"ss": f"{wanted.start:.6f}"}
    lasts = {} if wanted.duration is None else {"t": f"{wanted.duration:.6f}"}
    # Said twice: of the input, so that no more is read; and of the result, for tracks that begin late in the film.
    opened = ffmpeg.input(
        source_url(source_fd), threads=threads, **begins, **lasts, **input_options(limits, source.formats)
    )
    tracks, options = [], {**_ANYTHING, **_MUXERS[result.name], **lasts, "threads": threads}
    if result.kind != "sound":
        tracks.append(_picture(opened, source, wanted, result, limits))
        options |= _PICTURES.get(result.name) or {"fps_mode": "vfr", **_FILMS[result.name]}
        if result.kind == "picture" or source.is_still:
            options["frames:v"] = 1
    if (sound := source.facts.main_audio) is not None and result.name in _SOUNDS and not wanted.mute:
        tracks.append(through(opened[str(sound.index)], _heard()))
        options |= _SOUNDS[result.name]
    graph = ffmpeg.output(*tracks, f"pipe:{pipe_fd}", **options).global_args(
        *("-nostdin", "-v", "error", "-nostats", "-stats_period", "0.5", "-progress", f"pipe:{progress_fd}"),
        *("-abort_on", "empty_output", "-filter_complex_threads", str(threads)),
    )
    argv: list[str] = graph.compile()
    return argv


def _picture(opened: Any, source: Source, wanted: Operations, result: Result, limits: Limits) -> Any:
    video = source.facts.video
    if video is None:
        raise InvalidRequest(f"format: there is no picture in the file of which {result.name} could be made.")
    size = size_of(video, wanted, result, limits.max_pixels)
    return pictured(opened[str(video.index)], video, wanted, result, size, still=source.is_still)


def _heard() -> list[Filter]:
    """The sound as all results have it: from the very start, mono as it is, and of more channels than two the stereo."""
    # Of sound that comes late, silence fills what is before, so that picture and sound begin together; holes likewise.
    resampled = Filter(
        "aresample",
        {"sample_rate": AUDIO_SAMPLE_RATE, "async": 1, "min_hard_comp": HOLE_SECONDS, "first_pts": 0},
    )
    return [resampled, Filter("aformat", {"channel_layouts": "mono|stereo"})]
