"""Still pictures by their first bytes: which demuxer may open them. Pure.

Each is opened by its own demuxer and by no other: a guess among all of them could be led elsewhere. GIF is none of these; it
is read as a film.
"""

from __future__ import annotations

from typing import NamedTuple

from media_service.errors import NotMedia

HEAD_BYTES = 64  # of the file, that are looked at here

_ANIMATION = 0x02  # RFC 9649 s2.7.1: the flags of VP8X
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis"})


class Picture(NamedTuple):
    """A kind of still picture."""

    name: str
    demuxer: str  # ffmpeg's
    words: str


JPEG = Picture("jpeg", "jpeg_pipe", "a JPEG picture")
PNG = Picture("png", "png_pipe", "a PNG picture")
WEBP = Picture("webp", "webp_pipe", "a WebP picture")


def picture_of(head: bytes) -> Picture | None:
    """What kind of still picture begins with `head` (HEAD_BYTES, or all of it); None for films and whatever else.

    Raises NotMedia for pictures that are known and cannot be read, with a sentence that says so.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        if head[12:16] == b"VP8X" and head[20:21] and head[20] & _ANIMATION:
            raise NotMedia("Animated WebP is not read here; still WebP is, and GIF.")
        return WEBP
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        raise NotMedia("HEIC and AVIF pictures are not read here; JPEG, PNG, WebP and GIF are.")
    return None


def is_gif(head: bytes) -> bool:
    """Whether this begins as a GIF, moving or not."""
    return head.startswith((b"GIF87a", b"GIF89a"))
