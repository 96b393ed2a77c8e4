"""Still pictures by their first bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import NotMedia
from media_service.ffmpeg.pictures import HEAD_BYTES, JPEG, PNG, WEBP, Picture, is_gif, picture_of

VP8X = b"RIFF\x10\0\0\0WEBPVP8X\x0a\0\0\0"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", JPEG),
        (b"\xff\xd8\xff\xe1\0\x10Exif", JPEG),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", PNG),
        (b"RIFF\x10\0\0\0WEBPVP8 ", WEBP),
        (VP8X + b"\x10", WEBP),  # with transparency, and still
        (VP8X, WEBP),  # cut off: its decoder says so
        (b"RIFF\x10\0\0\0AVI LIST", None),
        (b"GIF89a", None),
        (b"\0\0\0\x18ftypmp42", None),
        (b"", None),
    ],
)
def test_each_is_known_by_its_first_bytes(head: bytes, kind: Picture | None) -> None:
    assert picture_of(head) == kind


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (VP8X + b"\x02", "Animated WebP"),
        (b"\0\0\0\x18ftypheic", "HEIC and AVIF"),
        (b"\0\0\0\x18ftypavif", "HEIC and AVIF"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_name(head: bytes, words: str) -> None:
    with pytest.raises(NotMedia, match=words):
        picture_of(head)


def test_a_gif_is_a_film() -> None:
    assert is_gif(b"GIF87a")
    assert is_gif(b"GIF89a\x01")
    assert not is_gif(b"GIF88a")


@given(st.binary(max_size=HEAD_BYTES))
def test_any_bytes_are_one_of_these_or_none(head: bytes) -> None:
    assert picture_of(head) in {None, JPEG, PNG, WEBP}
