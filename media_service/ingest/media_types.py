"""What an upload is served as. Decided by what probing found, never by the name the client gave the file."""

from __future__ import annotations

from typing import NamedTuple

from media_service.timeline.facts import Facts


class MediaType(NamedTuple):
    """A file name extension (without dot) and the media type that goes with it."""

    extension: str
    name: str


_WEBM_VIDEO = frozenset({"vp8", "vp9", "av1"})
_WEBM_AUDIO = frozenset({"opus", "vorbis"})

# ffmpeg's demuxer names -> the IANA-registered type (or the one everybody uses where none is registered).
_BY_CONTAINER = {
    "avi": MediaType("avi", "video/x-msvideo"),
    "mpegts": MediaType("ts", "video/mp2t"),
    "mpeg": MediaType("mpg", "video/mpeg"),
    "flv": MediaType("flv", "video/x-flv"),
    "asf": MediaType("wmv", "video/x-ms-asf"),
}


def media_type(facts: Facts) -> MediaType:
    """The extension and media type of the original."""
    names = facts.container.split(",")
    if "mp4" in names:
        # QuickTime files too: browsers refuse "video/quicktime" but play the same boxes as "video/mp4".
        return MediaType("mp4", "video/mp4") if facts.video else MediaType("m4a", "audio/mp4")
    if "matroska" in names or "webm" in names:
        return _matroska(facts)
    if "ogg" in names:
        return MediaType("ogv", "video/ogg") if facts.video else MediaType("oga", "audio/ogg")
    return next(
        (_BY_CONTAINER[name] for name in names if name in _BY_CONTAINER),
        MediaType("bin", "application/octet-stream"),
    )


def _matroska(facts: Facts) -> MediaType:
    """WebM is the subset of Matroska with open codecs; only that subset is played by browsers under its name."""
    codecs_are_webm = (facts.video is None or facts.video.codec in _WEBM_VIDEO) and all(
        track.codec in _WEBM_AUDIO for track in facts.audio
    )
    if facts.video is None:
        return MediaType("weba", "audio/webm") if codecs_are_webm else MediaType("mka", "audio/matroska")
    return MediaType("webm", "video/webm") if codecs_are_webm else MediaType("mkv", "video/matroska")
