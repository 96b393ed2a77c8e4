"""js/keys.js: which key does what on the watch page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.node import Node, node_with


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("keys.js", tmp_path_factory.mktemp("keys"))


@pytest.mark.parametrize(
    ("key", "action"),
    [
        ("ArrowLeft", ["by", -5]),
        ("ArrowRight", ["by", 5]),
        ("j", ["by", -10]),
        ("L", ["by", 10]),
        ("k", ["toggle"]),
        ("c", ["subtitles"]),
    ]
    + [(",", ["frame", -1]), (".", ["frame", 1]), ("0", ["tenth", 0]), ("9", ["tenth", 9]), (" ", ["toggle"])]
    + [(other, None) for other in ("a", "Tab", "Enter", "Escape", "constructor", "ArrowUp", "F5", "¹", "")],
)
def test_keys_have_their_usual_meaning(node: Node, key: str, action: list[object] | None) -> None:
    assert node("it.actionFor(x)", {"key": key}) == action


@pytest.mark.parametrize("modifier", ["ctrlKey", "altKey", "metaKey"])
def test_shortcuts_of_the_browser_are_left_alone(node: Node, modifier: str) -> None:
    assert node("it.actionFor(x)", {"key": "l", modifier: True}) is None


@pytest.mark.parametrize(
    ("wanted", "landed"), [([5, 0, 10], 5), ([-5, 0, 10], 0), ([50, 0, 10], 10), ([5, 3, 0], 3)]
)
def test_a_seek_lands_inside_what_can_be_sought(node: Node, wanted: list[float], landed: float) -> None:
    assert node("it.clamp(...x)", wanted) == landed
