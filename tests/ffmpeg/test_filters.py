from __future__ import annotations

import pytest

from media_service.ffmpeg.filters import picture
from media_service.timeline.facts import VideoFacts


def chain(width: int = 1280, height: int = 720, *, full_range: bool = False, **facts: str | bool) -> str:
    base = {"index": 0, "codec": "h264", "width": width, "height": height}
    video = VideoFacts(**(base | facts))  # type: ignore[arg-type] # fields by name
    return picture(video, 640, 360, full_range=full_range)


def test_pixels_end_up_square_and_in_eight_bits() -> None:
    assert chain().endswith(",format=yuv420p,setsar=1")
    assert "scale=640:360" in chain()


def test_only_interlaced_films_are_deinterlaced() -> None:
    assert chain(interlaced=True).startswith("bwdif=mode=send_frame")
    assert "bwdif" not in chain()


@pytest.mark.parametrize(
    ("space", "width", "height", "matrix"),
    [
        (None, 1280, 720, "bt709"),
        (None, 720, 576, "bt601"),
        ("smpte170m", 1920, 1080, "bt601"),
        ("bt709", 320, 240, "bt709"),
        ("bt2020nc", 1920, 1080, "bt2020"),
    ],
)
def test_the_matrix_is_the_tag_or_what_players_guess(
    space: str | None, width: int, height: int, matrix: str
) -> None:
    video = VideoFacts(index=0, codec="h264", width=width, height=height, color_space=space)
    assert f"in_color_matrix={matrix}:" in picture(video, 640, 360)


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_is_tone_mapped_with_every_property_named(transfer: str) -> None:
    made = chain(color_transfer=transfer)
    assert f"tin={transfer}:pin=bt2020:min=bt2020nc:rin=limited" in made
    assert "tonemap=" in made


def test_wide_gamut_alone_is_converted_but_not_tone_mapped() -> None:
    made = chain(color_primaries="bt2020", color_range="pc")
    assert "tin=bt709:pin=bt2020" in made
    assert "rin=full" in made
    assert "tonemap=" not in made


def test_stills_are_full_range() -> None:
    assert "out_color_matrix=bt601:out_range=pc,format=yuvj420p" in chain(full_range=True)
