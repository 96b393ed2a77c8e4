"""js/strips.js: which parts of a film are stored, as times, as news and in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.node import Node, node_with

GRID = [0, 4, 8, 12, 15.5]
Ranges = list[list[int]]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("strips.js", tmp_path_factory.mktemp("strips"))


def ranges(numbers: set[int]) -> Ranges:
    found: Ranges = []
    for number in sorted(numbers):
        if found and found[-1][1] == number:
            found[-1][1] += 1
        else:
            found.append([number, number + 1])
    return found


def rendition(**told: Any) -> dict[str, Any]:
    return {"name": "720p", "kind": "video", "packaged": False, "made": [], **told}


@pytest.mark.parametrize(
    ("made", "seconds"),
    [
        ([], []),
        ([[0, 4]], [[0, 15.5]]),
        ([[0, 1], [1, 2], [3, 4]], [[0, 8], [12, 15.5]]),
        ([[3, 9]], [[12, 15.5]]),
        ([[7, 9]], []),
    ],
)
def test_ranges_of_segments_are_times_of_the_film(
    node: Node, made: Ranges, seconds: list[list[float]]
) -> None:
    assert node("it.times(x.made, x.grid)", {"made": made, "grid": GRID}) == seconds


@settings(deadline=None)
@given(before=st.sets(st.integers(0, 30)), now=st.sets(st.integers(0, 30)))
def test_what_is_added_is_what_was_not_there(node: Node, before: set[int], now: set[int]) -> None:
    found = node("it.added(x[0], x[1])", [ranges(before), ranges(now)])
    assert {number for first, stop in found for number in range(first, stop)} == now - before


@settings(deadline=None)
@given(seconds=st.floats(0, 20))
def test_a_time_lies_in_the_segment_that_is_shown_then(node: Node, seconds: float) -> None:
    expected = min(3, max(at for at, begin in enumerate(GRID) if begin <= seconds))
    assert node("it.segmentAt(x[0], x[1])", [GRID, seconds]) == expected


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"made": [[0, 4]]}, "720p: all 4 segments are stored."),
        ({}, "720p: none of 4 segments is stored yet; each is made when it is asked for."),
        ({"made": [[0, 1], [2, 3]]}, "720p: 2 of 4 segments are stored: 0:00 to 0:04, 0:08 to 0:12."),
        (
            {"packaged": True, "made": [[0, 4]], "name": "source"},
            "Original: all 4 segments are cut out of the original.",
        ),
        (
            {
                "packaged": True,
                "made": [[0, 4]],
                "name": "audio-en",
                "kind": "audio",
                "label": "English",
            },
            "English: all 4 segments are cut out of the original.",
        ),
    ],
)
def test_a_strip_is_told_in_a_sentence(node: Node, told: dict[str, Any], words: str) -> None:
    assert node("it.stripWords(x[0], x[1])", [rendition(**told), GRID]) == words


def test_many_gaps_are_not_all_told(node: Node) -> None:
    made = [[number, number + 1] for number in range(0, 20, 2)]
    sentence = node("it.stripWords(x[0], x[1])", [rendition(made=made), list(range(21))])
    assert sentence.startswith("720p: 10 of 20 segments are stored: 0:00 to 0:01, ")
    assert sentence.endswith("0:06 to 0:07 and more.")


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "No keyframes are known."),
        (1, "1 keyframe."),
        (1200, "1,200 keyframes, one in 2.0 s on average."),
    ],
)
def test_keyframes_are_counted(node: Node, count: int, words: str) -> None:
    assert node("it.keyframeWords(x)", {"keyframe_count": count, "duration": 2400}) == words
