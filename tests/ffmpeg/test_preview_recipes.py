"""argv of tiles. What comes out of it is judged in tests/work/test_previewing.py."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.preview_recipes import tiles
from media_service.timeline.facts import Facts, VideoFacts
from media_service.timeline.preview_plan import How, Stretch

VIDEO = VideoFacts(index=3, codec="h264", width=1920, height=1080)


def argv(how: How = "frames", *, video: VideoFacts = VIDEO, sparing: bool = False) -> list[str]:
    starts = tuple(Fraction(number) for number in range(4))
    seeks = (None, *starts[1:]) if how == "hops" else (Fraction(5),)
    stretch = Stretch(how, seeks, starts, Fraction(5), Fraction(0), sparing)
    return tiles(
        Facts(container="mov", video=video),
        source_fd=7,
        stretch=stretch,
        size=(256, 144),
        limits=Limits(),
    )


def graph(made: list[str]) -> str:
    return made[made.index("-filter_complex") + 1]


def options(made: list[str], name: str) -> list[str]:
    return [value for option, value in pairwise(made) if option == name]


def test_of_keyframes_nothing_else_is_read_or_decoded() -> None:
    made = argv("keyframes")
    assert options(made, "-skip_frame") == ["nokey"]
    assert options(made, "-discard:v") == ["nokey"]
    assert made.index("-discard:v") < made.index("-i")


@pytest.mark.parametrize(("sparing", "skipped"), [(True, ["noref"]), (False, [])])
def test_frames_that_no_other_needs_are_left_out_when_told(sparing: bool, skipped: list[str]) -> None:
    assert options(argv(sparing=sparing), "-skip_frame") == skipped


def test_each_hop_is_an_input_of_its_own_that_ends_with_one_frame() -> None:
    made = argv("hops")
    assert options(made, "-i") == ["/proc/self/fd/7"] * 4
    assert options(made, "-ss") == ["1.000000", "2.000000", "3.000000"]
    assert graph(made).count("trim=end_frame=1") == 4
    assert "interleave=nb_inputs=4" in graph(made)
    assert set(options(made, "-skip_frame")) == {"nokey"}


def test_every_input_is_fenced() -> None:
    made = argv("hops")
    for name in ("-format_whitelist", "-protocol_whitelist", "-max_pixels", "-max_streams"):
        assert len(options(made, name)) == 4


def test_the_first_frame_of_each_stretch_is_found_by_halves() -> None:
    made = graph(argv())
    assert "if(lt(t\\,2.000000)" in made
    assert made.count("lt(t") == 3


def test_large_pictures_are_never_held_before_they_are_small() -> None:
    made = graph(argv())
    assert made.index("select") < made.index("scale")


@pytest.mark.parametrize(("interlaced", "rotation", "fields"), [(True, 0, 1), (True, 90, 0), (False, 0, 0)])
def test_of_two_fields_one_is_shown(interlaced: bool, rotation: int, fields: int) -> None:
    video = VideoFacts(
        index=0, codec="mpeg2video", width=720, height=576, interlaced=interlaced, rotation=rotation
    )
    made = graph(argv(video=video))
    assert made.count("field=type=top") == fields
    assert "bwdif" not in made


def test_headers_are_all_the_same_and_tell_nothing() -> None:
    made = argv()
    assert options(made, "-huffman") == ["default"]
    assert options(made, "-map_metadata") == ["-1"]
    assert options(made, "-flags") == ["+bitexact"]
    assert "sidedata=mode=delete" in graph(made)


def test_sound_alone_has_no_tiles() -> None:
    stretch = Stretch("frames", (None,), (Fraction(0),), Fraction(1), Fraction(0), False)
    with pytest.raises(ValueError, match="no picture"):
        tiles(Facts(container="mov"), source_fd=7, stretch=stretch, size=(256, 144), limits=Limits())
