"""js/arrival.js: how much of a file has arrived, whatever the browser believes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.node import Node, node_with

# Each step is ["left", bytes] or ["told", bytes]; what is shown after each.
STORY = """(() => {
  const arrival = new it.Arrival();
  return x.map(([step, bytes]) => (arrival[step](bytes), arrival.bytes));
})()"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("arrival.js", tmp_path_factory.mktemp("arrival"))


def test_what_the_system_swallows_at_once_does_not_count(node: Node) -> None:
    steps = [["left", 0], ["left", 4900], ["told", 100], ["told", 300], ["left", 5000], ["told", 5000]]
    assert node(STORY, steps) == [0, 0, 100, 300, 400, 5000]


def test_between_two_words_of_the_service_it_moves_with_what_leaves(node: Node) -> None:
    steps = [["left", 0], ["left", 700], ["told", 500], ["left", 800], ["left", 900], ["told", 690]]
    assert node(STORY, steps) == [0, 0, 500, 600, 700, 690]


def test_an_attempt_begins_where_the_service_says(node: Node) -> None:
    assert node(STORY, [["told", 400], ["left", 450], ["told", 480]]) == [None, 450, 480]


def test_it_says_whether_more_has_come(node: Node) -> None:
    more = (
        "(() => { const a = new it.Arrival(); a.left(10); return [10, 20, 20, 30].map((n) => a.told(n)); })()"
    )
    assert node(more) == [False, True, False, True]
