"""Facts -> filters. Pure: what is done to a picture so that every screen shows it as it was meant.

ffmpeg itself turns rotated pictures upright before these filters (`-autorotate`, its default), so sizes here are upright
ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from media_service.timeline.cutting import AudioCut
from media_service.timeline.facts import AudioFacts, VideoFacts
from media_service.timeline.ladder import AUDIO_SAMPLE_RATE

HD_WIDTH, HD_HEIGHT = 1280, 720  # from here on, untagged pictures are taken as BT.709, as players take them
# Holes of more than this become silence, at once, where time stamps jitter. With swresample's own 100 ms the sound after a hole
# of 50 ms ran 43 ms ahead of the picture for the rest of the film; its gradual mode (async=1000) never caught up either.
HOLE_SECONDS = 0.02
EXACT_HOLE_SECONDS = 0.001  # and where they are exact
RESAMPLING_SECONDS = 0.01  # of sound that the resampler looks ahead; its filter is a hundred times shorter
SDR_NITS = 100  # nominal peak of an SDR screen (ITU-R BT.1886); what tone mapping aims at


class Filter(NamedTuple):
    """One of ffmpeg's filters with its options."""

    name: str
    options: Mapping[str, str | int | float]


def through(stream: Any, filters: Iterable[Filter]) -> Any:
    """ffmpeg-python's `stream` after the filters."""
    for one in filters:
        stream = stream.filter(one.name, **one.options)
    return stream


def earlier(seconds: Fraction) -> list[Filter]:
    """All times moved by so much."""
    return [Filter("setpts", {"expr": f"round(PTS-{seconds}/TB)"})] if seconds else []


def deinterlaced(video: VideoFacts) -> list[Filter]:
    """One frame per frame (not per field): the count stays the source's. Progressive frames pass untouched."""
    return [Filter("bwdif", {"mode": "send_frame", "deint": "interlaced"})] if video.interlaced else []


def to_sdr(video: VideoFacts, width: int, height: int) -> list[Filter]:
    """Wide gamut to BT.709, and high dynamic range to SDR, in linear light; nothing where the picture is plain.

    Scaled to `width` x `height` first: float pixels are dear. Every input property is set here: zscale refuses what it cannot
    convert ("no path between colorspaces") when a phone left one of them untagged.
    """
    if not _is_wide(video):
        return []
    linear: dict[str, str | int | float] = {
        "w": width,
        "h": height,
        "tin": (video.color_transfer if video.is_hdr else None) or "bt709",
        "pin": "bt2020",
        "min": "bt2020nc",
        "rin": "full" if video.color_range == "pc" else "limited",
        "t": "linear",
        "npl": SDR_NITS,
    }
    chain = [
        Filter("zscale", linear),
        Filter("format", {"pix_fmts": "gbrpf32le"}),
        Filter("zscale", {"p": "bt709"}),
    ]
    if video.is_hdr:
        chain.append(Filter("tonemap", {"tonemap": "hable", "desat": 0}))  # keeps highlights; no grey veil
    back = {"t": "bt709", "m": "bt709", "r": "limited"}
    return [*chain, Filter("zscale", back), Filter("format", {"pix_fmts": "yuv420p"})]


def scaled(video: VideoFacts, width: int, height: int, *, full_range: bool = False) -> list[Filter]:
    """From the source, or from what `to_sdr` made of it, to `width` x `height` square pixels of 8-bit 4:2:0.

    BT.709 in limited range for films; with `full_range` BT.601 in full range, which is what JPEG means (JFIF s.3).
    """
    target, levels, pixels = ("bt601", "pc", "yuvj420p") if full_range else ("bt709", "tv", "yuv420p")
    scale: dict[str, str | int | float] = {
        "w": width,
        "h": height,
        "flags": "bicubic+accurate_rnd",
        # The input's range is the frame's own; its matrix is ours to say, because swscale takes untagged ones as BT.601.
        "in_color_matrix": "bt709" if _is_wide(video) else _matrix(video),
        "out_color_matrix": target,
        "out_range": levels,
    }
    return [Filter("scale", scale), Filter("format", {"pix_fmts": pixels}), Filter("setsar", {"sar": 1})]


def in_rgb(video: VideoFacts, width: int, height: int, *, alpha: bool) -> list[Filter]:
    """The same in 8-bit RGB, from any source; with its transparency if `alpha`: for PNG, WebP and GIF."""
    scale: dict[str, str | int | float] = {
        "w": width,
        "h": height,
        "flags": "bicubic+accurate_rnd+full_chroma_int",
        "in_color_matrix": "bt709" if _is_wide(video) else _matrix(video),
    }
    return [
        *to_sdr(video, width, height),
        Filter("scale", scale),
        Filter("format", {"pix_fmts": "rgba" if alpha else "rgb24"}),
        Filter("setsar", {"sar": 1}),
    ]


def untold() -> list[Filter]:
    """Nothing goes with the picture but its pixels. Last: encoders of JPEG and PNG would pass a colour profile on, which may
    name a camera, and is no longer true of pixels that were converted."""
    return [Filter("sidedata", {"mode": "delete"})]


def trimmed(start: Fraction, stop: Fraction) -> Filter:
    """Frames with times in [start, stop), in seconds; after the last one nothing more is read."""
    return Filter("trim", {"start": f"{float(start):.6f}", "end": f"{float(stop):.6f}"})


def every(step: int, starts: Sequence[Fraction]) -> list[Filter]:
    """One frame of `step`, counted afresh from the first one of each segment. `starts`: where they begin, in seconds."""
    if step == 1:
        return []
    # Register 1: the segment, counted from 1; 2: the one of the frame before; 0: how many frames came before in it.
    number = f"st(1,{_segment(starts, 0, len(starts))})"
    count = "st(0,if(eq(ld(1),ld(2)),ld(0)+1,0))"
    return [Filter("select", {"expr": f"{number};{count};st(2,ld(1));not(mod(ld(0),{step}))"})]


def first_of_each(starts: Sequence[Fraction]) -> list[Filter]:
    """Of each of the stretches that begin at `starts` (s) its first frame; what comes earlier belongs to the first one."""
    # Register 1: the stretch, counted from 1; 2: the one of the frame before.
    new = "st(0,gt(ld(1),ld(2)));st(2,ld(1));ld(0)"
    return [Filter("select", {"expr": f"st(1,{_segment(starts, 0, len(starts))});{new}"})]


def _segment(starts: Sequence[Fraction], low: int, high: int) -> str:
    """An expression for the number (from 1) of the segment [low, high) that the frame at t is in: a search by halves."""
    if high - low == 1:
        return str(low + 1)
    middle = (low + high) // 2
    return f"if(lt(t,{float(starts[middle]):.6f}),{_segment(starts, low, middle)},{_segment(starts, middle, high)})"


def cut_sound(sound: AudioFacts, cut: AudioCut, layout: str) -> list[Filter]:
    """The samples [cut.start, cut.stop) of the film at AUDIO_SAMPLE_RATE, with silence where there is no sound."""
    start, end = (
        {key: f"{at / AUDIO_SAMPLE_RATE:.6f}"} for key, at in (("start", cut.start), ("end", cut.stop))
    )
    speakers = Filter("aformat", {"channel_layouts": layout})
    if cut.silent:
        return [Filter("asetpts", {"expr": f"N+{cut.start}"}), Filter("atrim", end), speakers]
    spare = {"end": f"{cut.stop / AUDIO_SAMPLE_RATE + RESAMPLING_SECONDS:.6f}"}
    # Of sound without exact places that is decoded from its start, the first sample decides about all the others'.
    whole = cut.seek is None and not cut.stamps.exact
    resampled = _resampled(sound, cut, None if not cut.fill else 0 if whole else cut.start)
    return [
        *_true_places(sound, cut),
        Filter("atrim", spare if whole else start | spare),
        resampled,
        Filter("apad", {}),
        Filter("atrim", start | end if whole else end),
        speakers,
    ]


def _resampled(sound: AudioFacts, cut: AudioCut, first: int | None) -> Filter:
    """At AUDIO_SAMPLE_RATE, holes filled with silence, also between the sample `first` and the first sound if given."""
    options: dict[str, str | int | float] = {
        "sample_rate": AUDIO_SAMPLE_RATE,
        "async": 1,
        # The first sample too goes where it belongs, however little silence that takes.
        "min_comp": 0.000001,
        "min_hard_comp": EXACT_HOLE_SECONDS if cut.stamps.quantum else HOLE_SECONDS,
    }
    if first is not None:
        options["first_pts"] = (
            first * sound.sample_rate // AUDIO_SAMPLE_RATE
        )  # counted in the input's samples
    return Filter("aresample", options)


def _true_places(sound: AudioFacts, cut: AudioCut) -> list[Filter]:
    """Frames are moved to their places on the lattice (`timeline.sound_stamps`)."""
    if not cut.stamps.quantum:
        return []
    rate = sound.sample_rate
    phases = [f"{stretch.phase}/{rate}" for stretch in cut.stamps.stretches]
    phase = phases.pop()
    for stretch, before in zip(cut.stamps.stretches[:0:-1], reversed(phases), strict=True):
        phase = f"if(lt(T,{float(stretch.begins):.6f}),{before},{phase})"
    quantum = f"({cut.stamps.quantum}/{rate})"
    # Of the first frame decoders may have cut off what the encoder put before the sound: so it counts where it ends.
    expr = (
        f"st(0,{phase});st(1,if(N,0,NB_SAMPLES/SR));"
        f"round((ld(0)+{quantum}*round((T+ld(1)-ld(0))/{quantum})-ld(1))/TB)"
    )
    return [Filter("asetpts", {"expr": expr})]


def _is_wide(video: VideoFacts) -> bool:
    return video.is_hdr or video.color_primaries == "bt2020"


def _matrix(video: VideoFacts) -> str:
    if video.color_space in {"smpte170m", "bt470bg", "fcc"}:
        return "bt601"
    if video.color_space in {"bt709", "smpte240m"}:
        return video.color_space
    if video.color_space in {"bt2020nc", "bt2020c"}:
        return "bt2020"
    return "bt709" if video.width >= HD_WIDTH or video.height >= HD_HEIGHT else "bt601"
