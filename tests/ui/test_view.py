"""js/view.js: which assets of the library are shown, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from media_service.store.listing import title_key
from tests.support.node import Node, node_with

SORTED = "[...x.assets].sort((a, b) => it.inOrder(x.view, a, b)).map(({ id }) => id)"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("view.js", tmp_path_factory.mktemp("view"))


def asset(key: str, **told: Any) -> dict[str, Any]:
    known = {"title": "", "filename": "", "state": "ready", "duration": 1.0, "size": 1, "created_at": "2026"}
    return {"id": key, **known, **told}


@pytest.mark.parametrize(
    ("query", "view"),
    [
        ("", {"q": "", "state": "", "sort": "created", "order": "desc"}),
        ("?q=bay&state=failed", {"q": "bay", "state": "failed", "sort": "created", "order": "desc"}),
        ("?sort=title&order=asc", {"q": "", "state": "", "sort": "title", "order": "asc"}),
        ("?sort=owner&order=up", {"q": "", "state": "", "sort": "created", "order": "desc"}),
        ("?state=gone&constructor=1", {"q": "", "state": "", "sort": "created", "order": "desc"}),
    ],
)
def test_an_address_names_a_view(node: Node, query: str, view: dict[str, str]) -> None:
    assert node("it.viewFrom(x)", query) == view


def test_only_what_differs_is_written_into_the_address(node: Node) -> None:
    assert node("it.changed(it.ALL)") == {}
    assert node("it.changed(it.viewFrom(x))", "?sort=size&order=asc") == {"sort": "size", "order": "asc"}


def test_titles_stand_where_the_service_sorts_them(node: Node) -> None:
    titles = ["Kelp 10", "kelp 9", "Élan", "elan 2", "Zebra", "  ", "10", "9", "Åland", "straße", "STRASSE 2"]
    assets = [asset(str(number), title=title) for number, title in enumerate(titles)]
    expected = [
        one["id"] for one in sorted(assets, key=lambda one: (title_key(str(one["title"])), str(one["id"])))
    ]
    assert node(SORTED, {"view": {"sort": "title", "order": "asc"}, "assets": assets}) == expected


@pytest.mark.parametrize(("order", "ids"), [("asc", ["b", "a", "c", "d"]), ("desc", ["a", "b", "d", "c"])])
def test_what_has_no_length_comes_last_in_either_order(node: Node, order: str, ids: list[str]) -> None:
    assets = [
        asset("a", duration=9),
        asset("c", duration=None),
        asset("b", duration=2),
        asset("d", duration=None),
    ]
    assert node(SORTED, {"view": {"sort": "duration", "order": order}, "assets": assets}) == ids


@pytest.mark.parametrize(
    ("view", "belongs"),
    [
        ({"q": "", "state": ""}, True),
        ({"q": "BAY", "state": "ready"}, True),
        ({"q": "img_", "state": ""}, True),
        ({"q": "ship", "state": ""}, False),
        ({"q": "bay", "state": "failed"}, False),
    ],
)
def test_it_is_known_whether_an_asset_belongs_to_what_is_shown(
    node: Node, view: dict[str, str], belongs: bool
) -> None:
    one = asset("a", title="Crossing the bay", filename="IMG_1.mp4")
    assert node("it.matches(x.view, x.asset)", {"view": view, "asset": one}) == belongs
