"""ffprobe's JSON -> Facts. Pure: a report goes in, facts come out or a reason why there are none."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from media_service import errors
from media_service.ffmpeg.fence import Limits
from media_service.timeline.facts import AudioFacts, Facts, SubtitleFacts, VideoFacts

MOST_REORDERED = 16  # ITU-T H.264 s.E.2.1, max_num_reorder_frames
LONGEST_NAME = 64  # characters of a codec, profile or language name that are kept
MAX_SIDE = 65_535  # pixels; no codec goes further
MAX_CHANNELS = 64
MAX_SAMPLE_RATE = 768_000  # Hz
ENCRYPTION_SIDE_DATA = "Encryption info"


class SideData(msgspec.Struct):
    """One entry of `side_data_list`."""

    side_data_type: str = ""
    rotation: float | None = None  # degrees counter-clockwise


class Stream(msgspec.Struct):
    """One entry of `streams`. ffprobe writes most numbers as strings, and leaves out what it does not know."""

    index: int
    codec_type: str = ""
    codec_name: str | None = None
    codec_tag_string: str = ""
    profile: str | None = None
    level: int | None = None
    width: int = 0
    height: int = 0
    sample_aspect_ratio: str | None = None
    pix_fmt: str | None = None
    bits_per_raw_sample: str | None = None
    field_order: str | None = None
    has_b_frames: int = 0
    color_range: str | None = None
    color_space: str | None = None
    color_transfer: str | None = None
    color_primaries: str | None = None
    avg_frame_rate: str | None = None
    time_base: str | None = None
    start_pts: int | None = None
    start_time: str | None = None
    duration: str | None = None
    channels: int = 0
    sample_rate: str | None = None
    disposition: dict[str, int] = {}
    tags: dict[str, str] = {}
    side_data_list: list[SideData] = []


class Packet(msgspec.Struct):
    """One entry of `packets`, or of `frames`."""

    side_data_list: list[SideData] = []


class Format(msgspec.Struct):
    """The `format` section."""

    format_name: str = ""
    start_time: str | None = None
    duration: str | None = None


class Report(msgspec.Struct):
    """What `ffprobe -of json -show_format -show_streams -show_packets` prints."""

    streams: list[Stream] = []
    packets: list[Packet] = []
    frames: list[Packet] = []  # of a still picture: the first one
    format: Format = msgspec.field(default_factory=Format)


def parse_report(answer: bytes) -> Report | None:
    """ffprobe's output; None when it is no JSON of that form (it breaks off after errors, and quotes tags badly)."""
    try:
        # Tags may hold any bytes at all; none of the names that count do.
        return msgspec.json.decode(answer.decode(errors="replace"), type=Report)
    except (msgspec.DecodeError, RecursionError):
        return None


def facts_of(report: Report, decoders: Collection[str], limits: Limits, container: str | None) -> Facts:
    """The facts. Raises EncryptedMedia, AbsurdMedia or NotMedia (no track that `decoders` could decode)."""
    if len(report.streams) > limits.max_streams:
        raise errors.AbsurdMedia(
            f"The file has {len(report.streams)} tracks; at most {limits.max_streams} are accepted."
        )
    if _encrypted(report):
        raise errors.EncryptedMedia("The film is protected by DRM; it cannot be decoded without its key.")
    pictures = [stream for stream in report.streams if _moves(stream)]
    video = next((stream for stream in pictures if stream.codec_name in decoders), None)
    if video is None and pictures:
        raise errors.NotMedia(
            f"The picture is encoded as {_name(pictures[0])}, which cannot be decoded here."
        )
    facts = Facts(
        container=report.format.format_name[:LONGEST_NAME] or container or "",
        declared_seconds=_seconds(report.format.duration),
        start_seconds=_seconds(report.format.start_time) or 0.0,
        video=None if video is None else _video(video, limits),
        audio=tuple(_audio(stream, decoders) for stream in report.streams if stream.codec_type == "audio"),
        subtitles=tuple(_subtitle(stream) for stream in report.streams if stream.codec_type == "subtitle"),
    )
    if facts.video is None and facts.main_audio is None:
        raise errors.NotMedia("The file has neither a picture nor a sound that can be decoded here.")
    return facts


def _encrypted(report: Report) -> bool:
    """Common Encryption (ISO/IEC 23001-7) on the first packets or as sample entry, or Matroska's ContentEncryption."""
    return any(
        stream.codec_tag_string in {"encv", "enca", "drmi", "drms"} or "enc_key_id" in stream.tags
        for stream in report.streams
    ) or any(
        entry.side_data_type == ENCRYPTION_SIDE_DATA
        for packet in report.packets
        for entry in packet.side_data_list
    )


def _moves(stream: Stream) -> bool:
    """Whether this is a film's picture, and not a cover or a thumbnail that containers carry as a video track."""
    still = ("attached_pic", "timed_thumbnails", "still_image")
    return stream.codec_type == "video" and not any(stream.disposition.get(name) for name in still)


def _video(stream: Stream, limits: Limits) -> VideoFacts:
    if stream.width * stream.height > limits.max_pixels or max(stream.width, stream.height) > MAX_SIDE:
        raise errors.AbsurdMedia(
            f"The picture is {stream.width} x {stream.height} pixels, more than is accepted."
        )
    if stream.width <= 0 or stream.height <= 0:
        raise errors.BrokenMedia("The size of the picture cannot be found: the track is damaged, or cut off.")
    return VideoFacts(
        index=stream.index,
        codec=_name(stream),
        profile=_short(stream.profile),
        level=stream.level if stream.level is not None and stream.level > 0 else None,
        width=stream.width,
        height=stream.height,
        sample_aspect=_aspect(stream),
        rotation=_rotation(stream),
        pixel_format=_short(stream.pix_fmt),
        bit_depth=_bit_depth(stream),
        frame_rate=_fraction(stream.avg_frame_rate, "/"),
        color_transfer=_colour(stream.color_transfer),
        color_primaries=_colour(stream.color_primaries),
        color_space=_colour(stream.color_space),
        color_range=_colour(stream.color_range),
        interlaced=stream.field_order in {"tt", "bb", "tb", "bt"},
        reordered_frames=min(max(0, stream.has_b_frames), MOST_REORDERED),
        time_base=_fraction(stream.time_base, "/"),
        start_ticks=stream.start_pts,
        start_seconds=_seconds(stream.start_time),
        duration_seconds=_seconds(stream.duration),
    )


def _audio(stream: Stream, decoders: Collection[str]) -> AudioFacts:
    rate = _whole(stream.sample_rate) or 0
    return AudioFacts(
        index=stream.index,
        codec=_name(stream),
        profile=_short(stream.profile),
        channels=stream.channels,
        sample_rate=rate,
        language=_tag(stream, "language"),
        title=_tag(stream, "title"),
        default=_is(stream, "default"),
        # Without a rate or channels its decoder could not even be opened by ffprobe.
        decodable=stream.codec_name in decoders
        and 0 < stream.channels <= MAX_CHANNELS
        and 0 < rate <= MAX_SAMPLE_RATE,
        time_base=_fraction(stream.time_base, "/"),
        start_ticks=stream.start_pts,
        start_seconds=_seconds(stream.start_time),
        duration_seconds=_seconds(stream.duration),
    )


def _subtitle(stream: Stream) -> SubtitleFacts:
    return SubtitleFacts(
        index=stream.index,
        codec=_name(stream),
        language=_tag(stream, "language"),
        title=_tag(stream, "title"),
        forced=_is(stream, "forced"),
        default=_is(stream, "default"),
    )


def _rotation(stream: Stream) -> int:
    """Degrees clockwise. ffprobe's are counter-clockwise (av_display_rotation_get): 90 there is 270 here."""
    for entry in stream.side_data_list:
        if entry.rotation is not None:
            clockwise = -entry.rotation % 360
            # Within a degree of a quarter turn, as ffmpeg's own autorotation takes it; else it stays as it is.
            quarter = round(clockwise / 90)
            return quarter % 4 * 90 if abs(clockwise - quarter * 90) < 1 else 0
    return 0


def _aspect(stream: Stream) -> tuple[int, int]:
    """The sample aspect ratio, believed while the picture stays a picture: up to 4 to 1."""
    aspect = _fraction(stream.sample_aspect_ratio, ":")
    if aspect is None:
        return (1, 1)
    return aspect if aspect[0] <= 4 * aspect[1] and aspect[1] <= 4 * aspect[0] else (1, 1)


def _bit_depth(stream: Stream) -> int:
    if depth := _whole(stream.bits_per_raw_sample):
        return depth
    pixels = stream.pix_fmt or ""
    return next(
        (depth for depth in (16, 14, 12, 10, 9) if f"p{depth}" in pixels or f"p0{depth}" in pixels), 8
    )


def _fraction(text: str | None, separator: str) -> tuple[int, int] | None:
    above, _, below = (text or "").partition(separator)
    fraction = (_whole(above) or 0, _whole(below) or 0)
    return fraction if min(fraction) > 0 else None


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 12 else None


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if abs(seconds) < 1e10 else None  # also keeps NaN and infinity out


def _name(stream: Stream) -> str:
    """The codec's name for people: the container's tag when ffmpeg has none."""
    return (stream.codec_name or stream.codec_tag_string or "unknown")[:LONGEST_NAME]


def _short(text: str | None) -> str | None:
    return None if text is None else text[:LONGEST_NAME]


def _tag(stream: Stream, name: str) -> str | None:
    """A tag of the track. Containers spell the names in capitals or not; an empty one says nothing."""
    found = (text for key, text in stream.tags.items() if key.lower() == name)
    return _short(next(found, "").strip() or None)


def _is(stream: Stream, disposition: str) -> bool:
    return bool(stream.disposition.get(disposition))


def _colour(text: str | None) -> str | None:
    return None if text in {None, "unknown", "unspecified", "reserved"} else _short(text)
