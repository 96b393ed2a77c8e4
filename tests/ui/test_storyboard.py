"""js/storyboard.js: which small picture stands for which time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.node import Node, node_with

ADDRESS = "https://films.example/t/token/media/1/storyboard.json"
ITEMS = [
    {"startTime": 2.5, "endTime": 5, "text": "storyboard/0.jpg?v=3#xywh=0,90,160,90"},
    {"startTime": 0.04, "endTime": 2.5, "text": "storyboard/0.jpg?v=3#xywh=0,0,160,90"},
    {"startTime": 5, "endTime": 7.5, "text": "storyboard/1.jpg?v=3#xywh=0,0,160,90"},
    {"startTime": 6, "endTime": 7.5, "text": "storyboard/1.jpg?v=3"},
]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("storyboard.js", tmp_path_factory.mktemp("storyboard"))


def test_tiles_come_by_time_with_the_place_in_their_sheet(node: Node) -> None:
    tiles = node("it.storyboard(x[0], x[1])", [ITEMS, ADDRESS])
    assert [tile["start"] for tile in tiles] == [0.04, 2.5, 5]
    assert tiles[1] == {
        "start": 2.5,
        "sheet": "https://films.example/t/token/media/1/storyboard/0.jpg?v=3",
        "x": 0,
        "y": 90,
        "width": 160,
        "height": 90,
    }


@pytest.mark.parametrize(
    ("seconds", "start"),
    [(-1, 0.04), (0, 0.04), (0.04, 0.04), (2.499, 0.04), (2.5, 2.5), (4.9, 2.5), (5, 5), (900, 5)],
)
def test_each_time_has_the_last_tile_that_began_before_it(node: Node, seconds: float, start: float) -> None:
    assert node("it.tileAt(it.storyboard(x[0], x[1]), x[2]).start", [ITEMS, ADDRESS, seconds]) == start


def test_without_tiles_there_is_none(node: Node) -> None:
    assert node("it.tileAt([], 3) === undefined")
