from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.languages import label_of, tag_of


@pytest.mark.parametrize(
    ("said", "tag"),
    [
        ("eng", "en"),
        ("ger", "de"),
        ("deu", "de"),
        ("de", "de"),
        ("GER", "de"),
        ("pt_BR", "pt-BR"),
        ("zho-Hant", "zh-Hant"),
        ("tlh", "tlh"),
        ("und", None),
        ("zxx", None),
        ("", None),
        ("Deutsch!", None),
        (None, None),
    ],
)
def test_what_containers_say_becomes_the_shortest_tag(said: str | None, tag: str | None) -> None:
    assert tag_of(said) == tag


@pytest.mark.parametrize(
    ("language", "title", "channels", "label"),
    [
        ("eng", None, 2, "English"),
        ("ger", None, 6, "Deutsch (5.1)"),
        ("fra", "Commentaires", None, "Français (Commentaires)"),
        ("fra", "Commentaires", 6, "Français (Commentaires, 5.1)"),
        ("eng", "English SDH", None, "English SDH"),
        ("eng", "English 5.1", 6, "English 5.1"),
        ("jpn", None, 8, "日本語 (8 channels)"),
        ("por-BR", None, None, "Português [BR]"),
        ("tlh", None, None, "tlh"),
        (None, "Director's cut", 2, "Director's cut"),
        (None, None, 6, "Sound (5.1)"),
        ("und", " \n\x00", 2, "Sound"),
    ],
)
def test_labels_are_for_people(
    language: str | None, title: str | None, channels: int | None, label: str
) -> None:
    assert label_of(language, title, channels=channels) == label


def test_what_tells_nothing_of_itself_is_called_as_asked() -> None:
    assert label_of(None, None, unknown="Subtitles") == "Subtitles"


@given(st.text() | st.none(), st.text() | st.none())
def test_whatever_a_file_says_a_tag_is_one_and_a_label_is_one_line(
    language: str | None, title: str | None
) -> None:
    tag, label = tag_of(language), label_of(language, title)
    assert tag is None or re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", tag)
    assert label
    assert label == label.strip()
    assert len(label.splitlines()) == 1
