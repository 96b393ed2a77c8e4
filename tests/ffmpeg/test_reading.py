from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service import errors
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.reading import facts_of, parse_report
from media_service.timeline.facts import Facts, VideoFacts

KNOWN = {"h264", "hevc", "aac"}
PICTURE: dict[str, Any] = {
    "index": 0,
    "codec_type": "video",
    "codec_name": "h264",
    "width": 640,
    "height": 360,
}
SOUND: dict[str, Any] = {
    "index": 1,
    "codec_type": "audio",
    "codec_name": "aac",
    "channels": 2,
    "sample_rate": "48000",
}


def read(*streams: dict[str, Any], **sections: Any) -> Facts:
    report = parse_report(
        json.dumps({"streams": streams, "format": {"format_name": "mov"}, **sections}).encode()
    )
    assert report is not None
    return facts_of(report, KNOWN, Limits(), "an MP4 film")


def picture(**changes: Any) -> VideoFacts:
    video = read(PICTURE | changes).video
    assert video is not None
    return video


@pytest.mark.parametrize(
    ("counter_clockwise", "clockwise"),
    [
        (0, 0),
        (90, 270),
        (-90, 90),
        (180, 180),
        (-180, 180),
        (89.5, 270),
        (-0.4, 0),
        (359.8, 0),
        (45, 0),
        (1e9, 0),
    ],
)
def test_rotation_becomes_clockwise_quarter_turns(counter_clockwise: float, clockwise: int) -> None:
    matrix = {"side_data_type": "Display Matrix", "rotation": counter_clockwise}
    assert picture(side_data_list=[{"side_data_type": "ICC Profile"}, matrix]).rotation == clockwise


@pytest.mark.parametrize(
    ("text", "aspect"),
    [
        ("1:1", (1, 1)),
        ("64:45", (64, 45)),
        ("0:1", (1, 1)),
        ("N/A", (1, 1)),
        ("1:9", (1, 1)),
        ("1:0", (1, 1)),
    ],
)
def test_aspects_are_believed_while_they_are_possible(text: str, aspect: tuple[int, int]) -> None:
    assert picture(sample_aspect_ratio=text).sample_aspect == aspect


@pytest.mark.parametrize(
    ("fields", "depth"),
    [
        ({}, 8),
        ({"bits_per_raw_sample": "10"}, 10),
        ({"pix_fmt": "yuv420p10le"}, 10),
        ({"pix_fmt": "p010le"}, 10),
        ({"pix_fmt": "yuv444p12be"}, 12),
        ({"pix_fmt": "yuvj420p", "bits_per_raw_sample": "8"}, 8),
    ],
)
def test_bit_depth_is_found_in_either_place(fields: dict[str, str], depth: int) -> None:
    assert picture(**fields).bit_depth == depth


@pytest.mark.parametrize("text", ["N/A", "nan", "inf", "-inf", "1e300", "", "x"])
def test_durations_that_are_none_are_unknown(text: str) -> None:
    facts = read(
        PICTURE | {"duration": text}, format={"format_name": "mov", "duration": text, "start_time": text}
    )
    assert facts.video is not None
    assert (facts.declared_seconds, facts.start_seconds, facts.video.duration_seconds) == (None, 0.0, None)


@pytest.mark.parametrize("order", ["tt", "bb", "tb", "bt"])
def test_fields_make_a_film_interlaced(order: str) -> None:
    assert picture(field_order=order).interlaced
    assert not picture(field_order="progressive").interlaced


def test_colours_that_say_nothing_are_unknown() -> None:
    assert picture(color_space="unknown", color_transfer="bt709").color_space is None


@pytest.mark.parametrize("name", ["attached_pic", "timed_thumbnails", "still_image"])
def test_stills_before_the_film_are_passed_over(name: str) -> None:
    cover = PICTURE | {"disposition": {name: 1}}
    facts = read(cover, PICTURE | {"index": 5})
    assert facts.video is not None
    assert facts.video.index == 5
    with pytest.raises(errors.NotMedia):
        read(cover)


def test_a_picture_nobody_decodes_is_named() -> None:
    with pytest.raises(errors.NotMedia, match="as evc1"):
        read(PICTURE | {"codec_name": None, "codec_tag_string": "evc1"}, SOUND)


@pytest.mark.parametrize(
    "broken", [{"channels": 0}, {"sample_rate": "0"}, {"codec_name": None}, {"channels": 999}]
)
def test_sound_that_no_decoder_opens_is_not_chosen(broken: dict[str, Any]) -> None:
    facts = read(PICTURE, SOUND | broken)
    assert len(facts.audio) == 1
    assert facts.main_audio is None
    with pytest.raises(errors.NotMedia):
        read(SOUND | broken)


SUBTITLE: dict[str, Any] = {"index": 2, "codec_type": "subtitle", "codec_name": "subrip"}


def test_tracks_of_sound_and_subtitles_say_what_they_are() -> None:
    facts = read(
        PICTURE,
        SOUND | {"tags": {"language": "ger", "title": " Kommentar "}, "disposition": {"default": 1}},
        SUBTITLE | {"tags": {"LANGUAGE": "eng", "title": ""}, "disposition": {"forced": 1, "default": 0}},
        SUBTITLE | {"index": 3, "codec_name": None, "codec_tag_string": "tx3g", "tags": {"title": "x" * 99}},
    )
    (sound,) = facts.audio
    assert (sound.language, sound.title, sound.default) == ("ger", "Kommentar", True)
    first, second = facts.subtitles
    assert (first.index, first.codec, first.language, first.title) == (2, "subrip", "eng", None)
    assert (first.forced, first.default) == (True, False)
    assert (second.index, second.codec, second.language, second.title) == (3, "tx3g", None, "x" * 64)


@pytest.mark.parametrize(("said", "level"), [(41, 41), (-99, None), (0, None), (None, None)])
def test_a_level_is_a_positive_number_or_unknown(said: int | None, level: int | None) -> None:
    assert picture(level=said).level == level


@pytest.mark.parametrize(
    ("streams", "sections"),
    [
        ([PICTURE | {"codec_tag_string": "encv"}], {}),
        ([PICTURE | {"tags": {"enc_key_id": "x"}}], {}),
        ([PICTURE], {"packets": [{}, {"side_data_list": [{"side_data_type": "Encryption info"}]}]}),
    ],
)
def test_every_mark_of_encryption_is_seen(streams: list[dict[str, Any]], sections: dict[str, Any]) -> None:
    with pytest.raises(errors.EncryptedMedia):
        read(*streams, **sections)


def test_a_picture_without_a_size_is_broken_and_a_huge_one_absurd() -> None:
    with pytest.raises(errors.BrokenMedia):
        read(PICTURE | {"width": 0})
    with pytest.raises(errors.AbsurdMedia, match="70000 x 2"):
        read(PICTURE | {"width": 70_000, "height": 2})


@pytest.mark.parametrize("answer", [b"", b"{\n", b'{"streams": [', b"[]", b'{"streams": 3}', b"[" * 100_000])
def test_half_an_answer_is_none(answer: bytes) -> None:
    assert parse_report(answer) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {}, optional=dict.fromkeys([*PICTURE, *SOUND, "level", "tags", "disposition"], JSON)
        )
    )
)
def test_no_answer_breaks_the_reader(streams: list[dict[str, Any]]) -> None:
    report = parse_report(json.dumps({"streams": streams}).encode())
    if report is not None:
        with contextlib.suppress(errors.MediaRejected):
            facts_of(report, KNOWN, Limits(), None)


@given(
    st.sampled_from(["sample_aspect_ratio", "avg_frame_rate", "duration", "bits_per_raw_sample", "pix_fmt"]),
    st.text(max_size=30),
)
def test_no_text_in_a_number_breaks_the_reader(field: str, text: str) -> None:
    picture(**{field: text})
