"""js/facts.js and js/words.js: what is known of an asset, as people read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.node import Node, node_with

VIDEO = {
    "codec": "hevc",
    "profile": "Main 10",
    "level": 153,
    "width": 3840,
    "height": 2160,
    "frame_rate": [30000, 1001],
    "bit_depth": 10,
    "color_transfer": "arib-std-b67",
    "rotation": 90,
    "interlaced": False,
}
SOUND = {
    "codec": "aac",
    "channels": 6,
    "sample_rate": 48000,
    "language": "und",
    "title": None,
    "decodable": True,
}
ASSET: dict[str, Any] = {
    "id": "abc",
    "filename": "IMG_1.mov",
    "size": 12_345_678,
    "media_type": "video/quicktime",
    "duration": 10.0,
    "sha256": "00ff",
    "created_at": "2026-11-20T12:00:00Z",
    "state": "playable",
    "progress": 0.5,
    "error": None,
    "width": 2160,
    "height": 3840,
    "seekability": None,
    "facts": {"video": VIDEO, "audio": [SOUND]},
    "playback": {"subtitles": [{"label": "", "language": "de"}], "original": None, "hls": "/x", "mp4": None},
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("facts.js", tmp_path_factory.mktemp("facts"))


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("words.js", tmp_path_factory.mktemp("words"))


def test_a_film_of_a_phone_is_described(node: Node) -> None:
    told = dict(node("it.facts(x)", ASSET))
    assert told["Picture"] == "hevc, Main 10"
    assert told["Frames"] == "3840 × 2160, 29.97 frames/s, turned by 90°, 10 bits, HDR (HLG)"  # noqa: RUF001 -- as it is written there
    assert told["Sound"] == "aac, 5.1, 48 kHz"
    assert told["Data rate"] == "9.88 Mbit/s"
    assert told["Subtitles"] == "de"
    assert told["Length"] == "0:10.000"


def test_of_a_file_that_nobody_has_looked_at_there_is_little_to_tell(node: Node) -> None:
    bare = {**ASSET, "facts": None, "duration": None, "playback": {"subtitles": []}}
    assert [term for term, _ in node("it.facts(x)", bare)] == [
        "File",
        "Size",
        "Type",
        "Uploaded",
        "SHA-256",
        "Id",
    ]


def test_what_happened_is_told_in_words(node: Node) -> None:
    entry = {"at": "2026-11-20T12:00:00Z", "event": "failed", "code": "no_video", "detail": "There is none."}
    told = node("it.happened(x)", entry)
    assert (told["words"], told["bad"]) == ("Failed: There is none. (no_video)", True)
    unknown = node("it.happened(x)", {**entry, "event": "sold", "code": None, "detail": None})
    assert (unknown["words"], unknown["bad"]) == ("sold", False)


@pytest.mark.parametrize(
    ("told", "badge"),
    [
        ({}, "Playable, converting"),
        ({"progress": None}, "Playable, waiting"),
        ({"error": {"code": "segment_failed", "detail": ""}}, "Playable, with a gap"),
        ({"playback": {"original": None, "hls": None, "mp4": None}}, "Converting"),
        ({"state": "ready"}, "Ready"),
        ({"state": "archived"}, "archived"),
    ],
)
def test_a_state_is_a_few_words(words: Node, told: dict[str, Any], badge: str) -> None:
    assert words("it.stateWords(x)", {**ASSET, **told}) == badge


def test_only_what_went_wrong_can_be_tried_again(words: Node) -> None:
    error = {"code": "broken", "detail": "It broke."}
    assert words("it.canRetry(x)", {**ASSET, "error": error, "state": "failed"}) is True
    assert words("it.canRetry(x)", ASSET) is False
    assert words("it.errorWords(x)", {**ASSET, "error": error}) == "It broke. (broken)"
    assert words("it.errorWords(x)", ASSET) == ""
