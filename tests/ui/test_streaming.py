"""js/streaming.js: how hls.js is set, and what its choices are called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.node import Node, node_with


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("streaming.js", tmp_path_factory.mktemp("streaming"))


def level(rendition: str, width: int = 0, height: int = 0) -> dict[str, Any]:
    return {
        "uri": f"http://films.test/media/1/hls/{rendition}/index.m3u8?v=ab",
        "width": width,
        "height": height,
    }


def words(node: Node, expression: str, argument: object) -> list[tuple[int, str]]:
    return [(each["value"], each["words"]) for each in node(expression, argument)]


def test_a_segment_that_has_to_be_made_is_waited_for_and_asked_for_again(node: Node) -> None:
    chosen = node("it.settings(x)", {"at": 7.5, "speed": 3e6})
    fragments = chosen["fragLoadPolicy"]["default"]
    assert fragments["maxTimeToFirstByteMs"] > 8000, "the service holds a response back for 8 s"
    assert fragments["errorRetry"]["retryDelayMs"] == fragments["errorRetry"]["maxRetryDelayMs"] == 1000
    assert (chosen["startPosition"], chosen["abrEwmaDefaultEstimate"]) == (7.5, 3e6)


def test_a_pause_loads_less_ahead_and_nothing_loads_minutes(node: Node) -> None:
    paused, plays = node("it.bufferSeconds(true)"), node("it.bufferSeconds(false)")
    chosen = node("it.settings(x)", {"at": 0, "speed": 1e6})
    assert paused < plays <= 30
    assert (chosen["maxBufferLength"], chosen["maxMaxBufferLength"], chosen["maxBufferSize"]) == (
        paused,
        plays,
        0,
    )


def test_the_line_is_measured_by_what_the_page_has_loaded(node: Node) -> None:
    script = {"transferSize": 500_000, "responseStart": 100, "responseEnd": 600}
    small = {"transferSize": 900, "responseStart": 0, "responseEnd": 50}
    assert node("it.lineSpeed(x)", [small, script]) == 8_000_000
    unknown = node("it.lineSpeed(x)", [small, script | {"transferSize": 300}])  # 300: it was in the cache
    assert unknown == node("it.lineSpeed([])") == 20_000_000
    at_once = script | {"responseEnd": 100}
    assert node("it.lineSpeed(x)", [at_once]) == 4_000_000_000


@pytest.mark.parametrize(
    ("url", "rendition"),
    [
        ("https://films.test/media/1/hls/720p/12.m4s?v=ab", "720p"),
        ("/t/token/media/1/hls/source/index.m3u8", "source"),
        ("/media/1/hls/master.m3u8", None),
    ],
)
def test_an_address_tells_its_rendition(node: Node, url: str, rendition: str | None) -> None:
    assert node("it.renditionOf(x)", url) == rendition


def test_qualities_are_named_best_first_each_once(node: Node) -> None:
    # hls.js lists from the smallest on; a second group of sounds doubles the pictures.
    levels = [level("240p"), level("720p"), level("720p"), level("source", 1080, 1920)]
    expected = [(-1, "Automatic"), (3, "Original (1080p)"), (2, "720p"), (0, "240p")]
    assert words(node, "it.qualities(x)", levels) == expected


def test_a_picture_that_comes_again_with_a_larger_sound_is_left_out(node: Node) -> None:
    levels = [level("240p"), level("240p"), level("720p"), level("720p"), level("source")]
    assert node("it.twins(x)", levels) == [3, 1]
    assert node("it.twins(x)", levels[1:3]) == []


def test_one_picture_is_no_choice(node: Node) -> None:
    assert words(node, "it.qualities(x)", [level("source", 640, 360)]) == []
    assert words(node, "it.qualities(x)", [level("240p"), level("240p")]) == []
    assert words(node, "it.qualities(x)", []) == []


def test_tracks_are_told_apart(node: Node) -> None:
    listed = [{"name": "English", "lang": "en"}, {"name": "English", "lang": "en"}, {"lang": "fi"}, {}]
    expected = [(0, "English (1)"), (1, "English (2)"), (2, "fi"), (3, "Track 4")]
    assert words(node, "it.tracks(x)", listed) == expected
