"""js/places.js: where viewers stopped, and which of it is worth remembering."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.node import Node, node_with


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("places.js", tmp_path_factory.mktemp("places"))


@pytest.mark.parametrize(
    ("at", "duration", "kept"),
    [
        (4.9, 60, False),  # hardly begun
        (5, 60, True),
        (55, 60, True),
        (55.1, 60, False),  # hardly anything is left
        (6840, 7200, True),
        (6841, 7200, False),  # the titles are running
        (4, 8, False),
    ],
)
def test_a_place_is_neither_the_beginning_nor_the_end(
    node: Node, at: float, duration: float, kept: bool
) -> None:
    assert node("it.isPlace(...x)", [at, duration]) is kept


def test_a_film_has_one_place_and_loses_it_at_the_end(node: Node) -> None:
    places = node("it.withPlace({}, 'a', 20.00049, 60, 1)")
    assert places == {"a": [20, 1]}
    places = node("it.withPlace(x, 'a', 30, 60, 2)", places)
    assert places == {"a": [30, 2]}
    assert node("it.withPlace(x, 'a', 59, 60, 3)", places) == {}


def test_the_films_watched_last_are_remembered(node: Node) -> None:
    many = {f"film{number}": [10, number] for number in range(100)}
    kept = node("it.withPlace(x, 'new', 20, 60, 1000)", many)
    assert len(kept) == 100
    assert "new" in kept
    assert "film0" not in kept


@pytest.mark.parametrize(
    "text", [None, "", "null", "[]", "3", '{"a": 3}', '{"a": [1]}', '{"a": [null, "x"]}', "{"]
)
def test_what_others_have_written_there_is_no_place(node: Node, text: str | None) -> None:
    assert node("it.readPlaces(x)", text) == {}


def test_what_was_written_is_read(node: Node) -> None:
    assert node("it.readPlaces(x)", '{"a": [20.5, 3], "b": "no"}') == {"a": [20.5, 3]}
