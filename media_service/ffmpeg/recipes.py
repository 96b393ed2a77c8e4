"""Facts -> argv. Pure: ffmpeg-python compiles, `ffmpeg.process` runs.

Times: ffmpeg counts from the start of the file's earliest track, and what comes out keeps those times: a picture that
begins a second after the sound begins at 1 s in its own fragments too. Two flags do that, found by experiment:
`frag_discont` makes the first fragment carry its real decode time (without it, each output silently starts at 0), and
`avoid_negative_ts disabled` leaves the encoder's 1024 priming samples of AAC before their true place, at negative times.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import ffmpeg

from media_service.ffmpeg.fence import Limits, input_options, source_url
from media_service.ffmpeg.filters import (
    Filter,
    cut_sound,
    deinterlaced,
    every,
    picture,
    scaled,
    through,
    to_sdr,
    trimmed,
)
from media_service.timeline.cutting import AudioCut, VideoCut
from media_service.timeline.facts import Facts, VideoFacts
from media_service.timeline.ladder import BUFFER_SECONDS, AudioRendition, VideoRendition

VIDEO_TIMESCALE = 90_000  # ticks per second: divides by all film and video rates, and MPEG-TS's own
KEYFRAME_SECONDS = (
    2  # between IDR frames: what a seek may have to decode in vain at most, and a segment's least length
)
FRAGMENT_SECONDS = 2  # of audio
POSTER_WIDTH = 1280  # pixels, at most
POSTER_FRAMES = 60  # among which the most typical one is looked for
POSTER_SECONDS = 10.0  # of film that is read for them, at most

# Times are the source's, counted from its start, wherever reading begins.
FILM_TIMES = ("-copyts", "-start_at_zero")
# Of MPEG-TS and its like ffmpeg counts from the start of the tracks that it was asked for, and not of all: unless times
# are moved in some other way as well. A microsecond is less than half a tick of their clocks.
MOVED = "0.000001"

FRAGMENTED = "+frag_keyframe+empty_moov+default_base_moof+negative_cts_offsets+frag_discont+skip_trailer"


def transcode(
    facts: Facts,
    *,
    source_fd: int,
    video: tuple[VideoRendition, int] | None,
    audio: tuple[AudioRendition, int] | None,
    progress_fd: int,
    limits: Limits,
    threads: int = 0,
    stop_seconds: float | None = None,
) -> list[str]:
    """argv that makes the renditions, each as fragmented MP4 into the pipe whose write end comes with it.

    `stop_seconds`: nothing after this time is encoded (the source's true end and a little more, so that a lying file
    cannot go on for ever; None: no bound). `threads` of each codec; 0: as many as there are cores. Raises ValueError when
    asked for a track that `facts` does not have, or for nothing.
    """
    source = ffmpeg.input(source_url(source_fd), threads=threads, **input_options(limits))
    outputs: list[Any] = []
    if video is not None:
        outputs.append(_video(source, facts, *video, threads=threads, stop_seconds=stop_seconds))
    if audio is not None:
        outputs.append(_audio(source, facts, *audio, stop_seconds=stop_seconds))
    if not outputs:
        raise ValueError("nothing to make")
    graph = ffmpeg.merge_outputs(*outputs).global_args(
        *("-nostdin", "-v", "error", "-nostats", "-stats_period", "0.5", "-progress", f"pipe:{progress_fd}"),
        *("-abort_on", "empty_output"),
    )
    argv: list[str] = graph.compile()
    return argv


def _video(
    source: Any,
    facts: Facts,
    rendition: VideoRendition,
    pipe_fd: int,
    *,
    threads: int,
    stop_seconds: float | None,
) -> Any:
    track = facts.video
    if track is None:
        raise ValueError("the source has no picture")
    rate = max_bits_per_second(rendition, track.frame_rate)
    return through(source[str(track.index)], picture(track, rendition.width, rendition.height)).output(
        f"pipe:{pipe_fd}",
        **{
            "c:v": "libx264",
            "profile:v": "high",
            "preset": "veryfast",
            "crf": 22,
            "threads": threads,
            "maxrate": rate,
            "bufsize": 2 * rate,  # two seconds of it: what a player buffers anyway
            # Only ours: an IDR frame every two seconds of film, whatever the frame rate does, and no others.
            "force_key_frames": f"expr:gte(t,n_forced*{KEYFRAME_SECONDS})",
            "forced-idr": 1,
            # No B frames, which costs a seventh of the bits at equal SSIM: frames are shown in the order they are decoded in,
            # so their times stand in the file as they are. Of fragments with composition offsets ffmpeg's own demuxer
            # (mpv, Kodi, ...) shows the picture late by the largest of them, 67 ms; other players differ in edit lists.
            "x264-params": "keyint=infinite:scenecut=0:open-gop=0:bframes=0",
            # Variable rates keep their times, to a tick of the 90 kHz clock.
            "fps_mode": "vfr",
            "enc_time_base": f"1:{VIDEO_TIMESCALE}",
            "video_track_timescale": VIDEO_TIMESCALE,
            "colorspace": "bt709",
            "color_primaries": "bt709",
            "color_trc": "bt709",
            "color_range": "tv",
        },
        **_common(stop_seconds),
    )


def _audio(
    source: Any, facts: Facts, rendition: AudioRendition, pipe_fd: int, *, stop_seconds: float | None
) -> Any:
    track = facts.main_audio
    if track is None:
        raise ValueError("the source has no sound that can be decoded")
    return source[str(track.index)].output(
        f"pipe:{pipe_fd}",
        # Holes of more than 20 ms become silence, at once. With swresample's own 100 ms the sound after a hole of 50 ms ran
        # 43 ms ahead of the picture for the rest of the film; its gradual mode (async=1000) never caught up either.
        af="aresample=async=1:min_hard_comp=0.02",
        **{
            "c:a": "aac",
            "b:a": rendition.bits_per_second,
            "ar": rendition.sample_rate,
            "ac": rendition.channels,
            "frag_duration": FRAGMENT_SECONDS * 1_000_000,  # microseconds
        },
        **_common(stop_seconds),
    )


def _common(stop_seconds: float | None) -> dict[str, Any]:
    """What all outputs share: fragments, true times, and nothing of the source's tags (they may tell where it was shot)."""
    return {
        "sn": None,
        "dn": None,
        "map_metadata": -1,
        "map_chapters": -1,
        "fflags": "+bitexact",
        "avoid_negative_ts": "disabled",
        "movflags": FRAGMENTED,
        "f": "mp4",
        **({} if stop_seconds is None else {"t": f"{stop_seconds:.6f}"}),
    }


def max_bits_per_second(rendition: VideoRendition, frame_rate: tuple[int, int] | None) -> int:
    """The peak rate: 4 bits a pixel and second (8 Mbit/s at 1080p), half as much again above 30 frames per second."""
    fast = frame_rate is not None and 31 * frame_rate[1] < frame_rate[0] <= 240 * frame_rate[1]
    return max(400_000, rendition.width * rendition.height * (6 if fast else 4))


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

    `renditions` come with the write ends of their pipes. The tracks' clocks have VIDEO_TIMESCALE ticks per second of film,
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
            *deinterlaced(track),
            trimmed(cut.starts[0], cut.stop),
            *to_sdr(track, largest.width, largest.height),
        ],
    )
    copies = frames.filter_multi_output("split", len(renditions)) if len(renditions) > 1 else [frames]
    outputs = [
        through(
            copies[number],
            [
                *every(rendition.frame_step, cut.starts),
                *scaled(track, rendition.width, rendition.height),
            ],
        ).output(
            f"pipe:{pipe_fd}",
            **_h264(rendition, threads),
            force_key_frames=",".join(map(_seconds, cut.keyframes)),
            **_fragments(cut.stop),
        )
        for number, (rendition, pipe_fd) in enumerate(renditions)
    ]
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
        source = _made("anullsrc", r=rendition.sample_rate, cl=_layout(rendition))
    else:
        source = _source(source_fd, limits, cut.seek, threads=1)[str(track.index)]
    output = through(source, cut_sound(track, cut, _layout(rendition))).output(
        f"pipe:{pipe_fd}",
        **_aac(rendition),
        **_fragments(Fraction(cut.stop, rendition.sample_rate)),
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
        ).output(f"pipe:{pipe_fd}", **{"frames:v": 1}, **_h264(one, threads=1), **_fragments(Fraction(1)))
        for one, pipe_fd in videos
    ]
    outputs += [
        _made("anullsrc", r=one.sample_rate, cl=_layout(one)).output(
            f"pipe:{pipe_fd}", **{"frames:a": 1}, **_aac(one), **_fragments(Fraction(1))
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


def _layout(rendition: AudioRendition) -> str:
    """5.1 with speakers at the back, as AAC's channel configuration 6 means (ISO/IEC 14496-3 table 1.19)."""
    return "5.1" if rendition.channels == 6 else "stereo"


def _h264(rendition: VideoRendition, threads: int) -> dict[str, Any]:
    return {
        "c:v": "libx264",
        "profile:v": "high",
        "level": rendition.level,
        "preset": "veryfast",
        "crf": 22,
        "threads": threads,
        "maxrate": rendition.max_bits_per_second,
        "bufsize": rendition.max_bits_per_second * BUFFER_SECONDS,
        "forced-idr": 1,
        # IDR frames where we say, and no others. No B frames, which costs a seventh of the bits at equal SSIM: frames are
        # shown in the order they are decoded in, so their times stand in the file as they are. Of fragments with composition
        # offsets ffmpeg's own demuxer (mpv, Kodi, ...) shows the picture late by the largest of them, 67 ms; other players
        # differ in edit lists.
        "x264-params": "keyint=infinite:scenecut=0:open-gop=0:bframes=0",
        # Variable rates keep their times, to a tick of the 90 kHz clock.
        "fps_mode": "vfr",
        "enc_time_base": f"1:{VIDEO_TIMESCALE}",
        "video_track_timescale": VIDEO_TIMESCALE,
        "colorspace": "bt709",
        "color_primaries": "bt709",
        "color_trc": "bt709",
        "color_range": "tv",
        # What most films have and few say; said of each, it stands in no init segment (ITU-T H.264 s.E.2.1).
        "chroma_sample_location": "left",
    }


def _aac(rendition: AudioRendition) -> dict[str, Any]:
    return {
        "c:a": "aac",
        "b:a": rendition.bits_per_second,
        "ar": rendition.sample_rate,
        "ac": rendition.channels,
        "frag_duration": FRAGMENT_SECONDS * 1_000_000,  # microseconds
    }


def _fragments(stop: Fraction) -> dict[str, Any]:
    """What all outputs share: fragments, true times, and nothing of the source's tags (they may tell where it was shot).

    `stop`: seconds of film. Filters end exactly there; a second later there is an end in any case. (`-t` counts from 0 where
    times are the source's.)
    """
    return {
        "map_metadata": -1,
        "map_chapters": -1,
        "fflags": "+bitexact",
        "avoid_negative_ts": "disabled",
        "movflags": FRAGMENTED,
        "f": "mp4",
        "t": _seconds(stop + 1),
    }


def poster(
    facts: Facts,
    *,
    source_fd: int,
    at_seconds: float,
    limits: Limits,
    width: int = POSTER_WIDTH,
    threads: int = 0,
) -> list[str]:
    """argv that writes one JPEG to standard output: the most typical frame of the seconds from `at_seconds` on.

    Typical frames are not black ones, unless all are. At most `width` pixels wide, upright, square pixels. Ends with an
    error when no frame lies at or after `at_seconds`. Raises ValueError without a picture.
    """
    track = facts.video
    if track is None:
        raise ValueError("the source has no picture")
    source = ffmpeg.input(
        source_url(source_fd),
        ss=f"{max(0.0, at_seconds):.6f}",
        t=POSTER_SECONDS,
        threads=threads,
        **input_options(limits),
    )
    across, down = track.display_size
    scale = min(1.0, width / across)
    size = (max(2, int(side * scale) // 2 * 2) for side in (across, down))
    # Scaled first: `thumbnail` holds all its frames at once, and sixty of 8K are three gigabytes.
    chain = [*picture(track, *size, full_range=True), Filter("thumbnail", {"n": POSTER_FRAMES})]
    graph = through(source[str(track.index)], chain).output(
        "pipe:1",
        **{"frames:v": 1, "c:v": "mjpeg", "q:v": 3, "map_metadata": -1, "fflags": "+bitexact", "f": "mjpeg"},
    )
    argv: list[str] = graph.global_args("-nostdin", "-v", "error", "-abort_on", "empty_output").compile()
    return argv
