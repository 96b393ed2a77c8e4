"""js/speed.js: bytes per second over the last few seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.node import Node, node_with

RUN = "(() => { const speed = new it.Speed(); return x.map(([sent, now]) => speed.add(sent, now)); })()"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("speed.js", tmp_path_factory.mktemp("speed"))


def test_nothing_is_claimed_in_the_first_moments(node: Node) -> None:
    assert node(RUN, [[0, 0], [1000, 100], [2000, 399]]) == [None, None, None]


def test_a_steady_line_is_measured(node: Node) -> None:
    assert node(RUN, [[1000 * step, 500 * step] for step in range(30)])[-1] == pytest.approx(2000)


def test_a_line_that_stops_slows_down_to_nothing(node: Node) -> None:
    assert node(RUN, [[0, 0], [9000, 1000], [9000, 4000], [9000, 8000], [9000, 12000]])[-1] == 0
