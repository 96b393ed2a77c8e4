"""js/native_tracks.js: what can be chosen of a film that the browser plays by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.node import Node, node_with

SOUNDS = [
    {"label": "English", "language": "en", "enabled": True},
    {"label": "", "language": "fr", "enabled": False},
]
TEXTS = [
    {"kind": "metadata", "label": "cues", "language": "", "mode": "hidden"},
    {"kind": "subtitles", "label": "Deutsch", "language": "de", "mode": "disabled"},
    {"kind": "captions", "label": "Deutsch", "language": "de", "mode": "disabled"},
]
SHOWN = (
    "it.nativeMenus(x).map(({ name, options, value }) => [name, options.map(({ words }) => words), value])"
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("native_tracks.js", tmp_path_factory.mktemp("native_tracks"))


def test_sounds_and_subtitles_are_named_and_one_of_each_is_chosen(node: Node) -> None:
    video = {"audioTracks": SOUNDS, "textTracks": TEXTS}
    assert node(SHOWN, video) == [
        ["Sound", ["English", "fr"], 0],
        ["Subtitles", ["Off", "Deutsch (1)", "Deutsch (2)"], -1],
    ]


def test_what_leaves_no_choice_is_no_menu(node: Node) -> None:
    # Chromium and Firefox have no audioTracks.
    assert node(SHOWN, {"textTracks": []}) == []
    assert node(SHOWN, {"audioTracks": SOUNDS[:1], "textTracks": TEXTS[:1]}) == []


def test_a_choice_takes_the_place_of_the_one_before(node: Node) -> None:
    video = {"audioTracks": SOUNDS, "textTracks": TEXTS}
    chosen = "(it.nativeMenus(x).forEach(({ choose }) => choose(1)), x)"
    after = node(chosen, video)
    assert [sound["enabled"] for sound in after["audioTracks"]] == [False, True]
    assert [text["mode"] for text in after["textTracks"]] == ["hidden", "disabled", "showing"]
    off = node("(it.nativeMenus(x).at(-1).choose(-1), x)", after)
    assert [text["mode"] for text in off["textTracks"]] == ["hidden", "disabled", "disabled"]
