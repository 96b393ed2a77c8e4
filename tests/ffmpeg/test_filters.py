from __future__ import annotations

from fractions import Fraction

import pytest

from media_service.ffmpeg.filters import deinterlaced, earlier, every, scaled, to_sdr, trimmed
from media_service.timeline.facts import VideoFacts


def chain(width: int = 1280, height: int = 720, *, full_range: bool = False, **facts: str | bool) -> str:
    base = {"index": 0, "codec": "h264", "width": width, "height": height}
    video = VideoFacts(**(base | facts))  # type: ignore[arg-type] # fields by name
    made = [*deinterlaced(video), *to_sdr(video, 640, 360), *scaled(video, 640, 360, full_range=full_range)]
    return ",".join(
        f"{one.name}=" + ":".join(f"{key}={value}" for key, value in one.options.items()) for one in made
    )


def test_pixels_end_up_square_and_in_eight_bits() -> None:
    assert chain().endswith(",format=pix_fmts=yuv420p,setsar=sar=1")
    assert "scale=w=640:h=360" in chain()


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
    assert scaled(video, 640, 360)[0].options["in_color_matrix"] == matrix


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


def test_plain_pictures_need_no_linear_light() -> None:
    assert to_sdr(VideoFacts(index=0, codec="h264", width=640, height=360), 640, 360) == []


def test_stills_are_full_range() -> None:
    made = chain(full_range=True)
    assert "out_color_matrix=bt601:out_range=pc,format=pix_fmts=yuvj420p" in made


def test_times_are_given_to_the_microsecond() -> None:
    options = trimmed(Fraction(1, 3), Fraction(20_000, 7)).options
    assert options == {"start": "0.333333", "end": "2857.142857"}


def test_every_frame_passes_without_a_filter() -> None:
    assert every(1, [Fraction(0)]) == []
    assert earlier(Fraction(0)) == []


def test_the_segment_of_a_frame_is_found_by_halves() -> None:
    """So an expression of a thousand segments is ten deep and not a thousand."""
    (select,) = every(2, [Fraction(number) for number in range(1000)])
    expression = str(select.options["expr"])
    deepest = depth = 0
    for character in expression:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    assert depth == 0
    assert deepest <= 15
