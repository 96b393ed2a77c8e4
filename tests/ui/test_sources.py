"""js/sources.js: which of an asset's representations a browser should play."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.node import Node, node_with

CHOOSE = "it.candidates(x.playback, { mse: x.mse, finished: x.finished, canPlay: (type) => x.plays.includes(type) })"
MP4 = 'video/mp4; codecs="avc1.640028, mp4a.40.2"'
HLS = "application/vnd.apple.mpegurl"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("sources.js", tmp_path_factory.mktemp("sources"))


def original(media_type: str = "video/mp4", codecs: str | None = "avc1.640028, mp4a.40.2") -> dict[str, Any]:
    return {"url": "/o", "media_type": media_type, "codecs": codecs}


def chosen(
    node: Node,
    playback: dict[str, Any],
    *plays: str,
    mse: str = "plain",
    finished: bool = False,
) -> list[tuple[str, str]]:
    known = {"original": None, "mp4": None, "hls": None, "packaged": False} | playback
    found = node(CHOOSE, {"playback": known, "plays": plays, "mse": mse, "finished": finished})
    return [(each["kind"], each["url"]) for each in found]


def test_hls_that_is_cut_out_of_the_original_comes_before_the_original(node: Node) -> None:
    playback = {"original": original(), "mp4": "/m", "hls": "/h", "packaged": True}
    assert chosen(node, playback, MP4) == [("hls.js", "/h"), ("file", "/o"), ("file", "/m")]


def test_an_original_that_plays_comes_before_hls_that_somebody_would_have_to_encode(node: Node) -> None:
    playback = {"original": original(), "mp4": "/m", "hls": "/h", "packaged": False}
    assert chosen(node, playback, MP4) == [("file", "/o"), ("hls.js", "/h"), ("file", "/m")]


def test_without_codecs_the_media_type_alone_is_asked_for(node: Node) -> None:
    assert chosen(node, {"original": original(codecs=None)}, "video/mp4") == [("file", "/o")]


def test_quicktime_is_asked_for_as_the_mp4_that_it_is(node: Node) -> None:
    assert chosen(node, {"original": original("video/quicktime")}, MP4) == [("file", "/o")]


def test_an_original_that_does_not_play_waits_until_nothing_better_will_come(node: Node) -> None:
    playback = {"original": original("video/x-matroska"), "hls": "/h"}
    assert chosen(node, playback) == [("hls.js", "/h")]
    assert chosen(node, playback, finished=True) == [("hls.js", "/h"), ("file", "/o")]


def test_chromium_plays_hls_with_the_script_because_its_own_offers_no_choice(node: Node) -> None:
    assert chosen(node, {"hls": "/h"}, HLS) == [("hls.js", "/h"), ("hls", "/h")]


def test_safari_plays_hls_by_itself(node: Node) -> None:
    assert chosen(node, {"hls": "/h"}, HLS, mse="managed") == [("hls", "/h"), ("hls.js", "/h")]
    assert chosen(node, {"hls": "/h"}, HLS, mse="none") == [("hls", "/h")]


def test_nothing_to_play_is_no_error(node: Node) -> None:
    assert chosen(node, {}) == []
