"""What a transform is asked for, and what comes out of it: every operation, every refusal."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import InvalidRequest
from media_service.wire.transforms import (
    MAX_SIDE,
    NAMES,
    RESULTS,
    Kind,
    Operations,
    read_operations,
    result_of,
)

FILM: tuple[Kind, ...] = ("picture", "film", "sound")


def test_every_operation_is_read_as_what_it_is() -> None:
    asked = {
        "format": "JPG", "width": "320", "height": " 200 ", "start": "1.5", "duration": "0.25", "blur": "8",
        "grayscale": "true", "rotate": "270", "fps": "12.5", "mute": "1", "audio_only": "TRUE",
    }  # fmt: skip
    assert read_operations(asked.items()) == Operations(
        format="jpeg",
        width=320,
        height=200,
        start=1.5,
        duration=0.25,
        blur=8.0,
        grayscale=True,
        rotate=270,
        fps=12.5,
        mute=True,
        audio_only=True,
    )
    assert set(NAMES) == {field.name for field in dataclasses.fields(Operations)}


def test_what_changes_nothing_is_as_if_it_had_not_been_said() -> None:
    nothing = {
        "start": "0",
        "blur": "0.0",
        "rotate": "0",
        "mute": "false",
        "grayscale": "0",
        "audio_only": "0",
    }
    assert read_operations(nothing.items()) == Operations()
    assert not read_operations(nothing.items()).given


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            ("width", text)
            for text in ("", "0", "-1", "1.5", "+3", "1_0", "\u0663", str(MAX_SIDE + 1), "auto")
        ),
        *(("start", text) for text in ("", "-1", "nan", "inf", "1e3", "1:30", ".5", "1000000.1", "1,5")),
        *(("duration", text) for text in ("0", "0.0001")),
        *(("blur", text) for text in ("100.1", "much")),
        *(("fps", text) for text in ("0", "121", "30/1")),
        *(("rotate", text) for text in ("45", "-90", "360", "")),
        *(("mute", text) for text in ("", "yes", "2")),
        *(("format", text) for text in ("", "exe", "jpeg;png", "mov")),
    ],
)
def test_a_text_that_is_not_of_the_form_is_refused_by_the_fields_name(name: str, text: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{name}: "):
        read_operations([(name, text)])


def test_an_unknown_operation_and_one_that_comes_twice_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="'colour' is no operation"):
        read_operations([("colour", "red")])
    with pytest.raises(InvalidRequest, match="width: it is given twice"):
        read_operations([("width", "1"), ("width", "1")])


@given(st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=8), st.text(max_size=12)), max_size=6))
def test_whatever_is_sent_is_operations_or_a_sentence(fields: list[tuple[str, str]]) -> None:
    try:
        found = read_operations(fields)
    except InvalidRequest:
        return
    assert found.given <= {name for name, _ in fields}


@pytest.mark.parametrize("own", RESULTS)
def test_without_a_format_the_file_stays_what_it_is(own: str) -> None:
    assert result_of(Operations(), own=own, kinds=FILM).name == own


def test_sound_alone_is_m4a_unless_mp3_is_wanted() -> None:
    assert result_of(Operations(audio_only=True), own="mp4", kinds=FILM).name == "m4a"
    assert result_of(Operations(audio_only=True, format="mp3"), own="mp4", kinds=FILM).name == "mp3"
    assert result_of(Operations(format="mp3"), own="mp4", kinds=FILM).name == "mp3"
    assert result_of(Operations(start=1.0), own=None, kinds=("sound",)).name == "m4a"


@pytest.mark.parametrize(
    ("wanted", "kinds", "named"),
    [
        (Operations(audio_only=True, format="gif"), FILM, "audio_only"),
        (Operations(format="mp3", width=3), FILM, "width"),
        (Operations(format="jpeg", duration=3.0), FILM, "duration"),
        (Operations(format="png", fps=3.0), FILM, "fps"),
        (Operations(format="m4a", mute=True), FILM, "mute"),
        (Operations(format="mp4"), ("picture",), "format"),
        (Operations(format="mp3"), ("picture", "film"), "format"),
        (Operations(audio_only=True), ("picture",), "format"),
        (Operations(format="jpeg"), ("sound",), "format"),
        (Operations(format="jpeg", start=1.0), ("picture",), "start"),
        (Operations(format="gif", fps=1.0), ("picture",), "fps"),
    ],
)
def test_what_cannot_be_made_is_refused_by_the_operations_name(
    wanted: Operations, kinds: tuple[Kind, ...], named: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"^{named}: "):
        result_of(wanted, own="jpeg" if kinds == ("picture",) else "mp4", kinds=kinds)


def test_a_still_picture_can_become_a_gif_and_a_film_a_still_picture() -> None:
    assert (
        result_of(Operations(format="gif", blur=3.0), own="png", kinds=("picture",)).media_type == "image/gif"
    )
    assert result_of(Operations(format="webp", start=3.0), own="mp4", kinds=FILM).media_type == "image/webp"
