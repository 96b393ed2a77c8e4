"""Which originals browsers can play and seek in by themselves, and by which name of their codecs.

The client has the last word (`canPlayType` with this name); here is decided what is worth asking about.
"""

from __future__ import annotations

from media_service.mp4.samples import Movie
from media_service.timeline.facts import Facts

# Sample entries -> whether some browser plays them. HEVC: Safari everywhere, Chrome where the hardware can.
_PICTURES = frozenset({"avc1", "avc3", "hvc1", "hev1", "av01", "vp08", "vp09"})
_SOUNDS = frozenset({"mp4a", "Opus", "fLaC", ".mp3"})
# RFC 6381 has no parameters for these; AV1 in WebM needs some that only its packets tell.
_WEBM_PICTURES = {"vp8": "vp8", "vp9": "vp9"}
_WEBM_SOUNDS = {"opus": "opus", "vorbis": "vorbis"}
# No browser decodes 4:2:2 or 4:4:4 H.264 in all its places, and a green picture is worse than a short wait.
_PIXELS = frozenset({"yuv420p", "yuvj420p", "yuv420p10le", "nv12"})


def browser_codecs(facts: Facts, movie: Movie | None) -> str | None:
    """The codecs parameter (RFC 6381) of an original that browsers may play and seek in; None for all others."""
    if facts.video is not None and facts.video.pixel_format not in _PIXELS:
        return None
    if movie is not None:
        return _mp4(facts, movie)
    return _webm(facts) if "webm" in facts.container.split(",") else None


def _mp4(facts: Facts, movie: Movie) -> str | None:
    # A fragmented file has no index that browsers look for: they would play it, and not seek.
    if movie.fragmented or not movie.tracks:
        return None
    names = []
    pictures = [track.entry for track in movie.tracks if track.handler == "vide"]
    sounds = [track.entry for track in movie.tracks if track.handler == "soun"]
    if facts.video is not None and pictures:
        if pictures[0].format not in _PICTURES:
            return None
        names.append(pictures[0].codec)
    if sounds:
        if sounds[0].format not in _SOUNDS:
            return None
        names.append(sounds[0].codec)
    return ", ".join(names) or None


def _webm(facts: Facts) -> str | None:
    names = []
    if facts.video is not None:
        names.append(_WEBM_PICTURES.get(facts.video.codec))
    if facts.audio:
        names.append(_WEBM_SOUNDS.get(facts.audio[0].codec))
    return ", ".join(name for name in names if name) if names and all(names) else None
