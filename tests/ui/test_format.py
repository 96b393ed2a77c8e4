"""js/format.js: numbers and times as people read them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.node import Node, node_with


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("format.js", tmp_path_factory.mktemp("format"))


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (99_949, "99.9 kB"),
        (123_456, "123 kB"),
        (999_600, "1.0 MB"),
        (20_000_000_000, "20.0 GB"),
        (10**19, "10000 PB"),
    ],
)
def test_sizes_have_two_or_three_digits_and_a_unit(node: Node, count: int, words: str) -> None:
    assert node("it.bytes(x)", count) == words


@pytest.mark.parametrize(
    ("seconds", "plain", "exact"),
    [
        (0, "0:00", "0:00.000"),
        (59.9996, "0:59", "1:00.000"),
        (93.25, "1:33", "1:33.250"),
        (3723.9, "1:02:03", "1:02:03.900"),
        (-1, "0:00", "0:00.000"),
    ],
)
def test_times_are_shown_short_and_exact(node: Node, seconds: float, plain: str, exact: str) -> None:
    assert node("[it.duration(x), it.clock(x)]", seconds) == [plain, exact]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("93", 93), ("93.5", 93.5), ("1:33", 93), ("1:02:03.5", 3723.5), ("1h2m3s", 3723), ("2m", 120)]
    + [
        (bad, None)
        for bad in (None, "", "x", "-1", "1e3", "NaN", "Infinity", "1:2:3:4", ".5", "9" * 40, " 1")
    ],
)
def test_a_time_in_a_link_is_understood_or_ignored(
    node: Node, text: str | None, seconds: float | None
) -> None:
    assert node("it.parseTime(x)", text) == seconds


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_a_link_at_a_time_leads_back_to_the_same_millisecond(node: Node, thousandths: int) -> None:
    back = node("it.parseTime(it.timeParameter(x))", thousandths / 1000)
    assert round(back * 1000) == thousandths


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (2, "a few seconds left"),
        (17, "about 20 s left"),
        (61, "about 2 min left"),
        (5400, "about 1.5 h left"),
    ],
)
def test_the_time_left_is_coarse(node: Node, seconds: float, words: str) -> None:
    assert node("it.timeLeft(x)", seconds) == words
    assert node("it.timeLeft(Infinity)") == ""


def test_a_rendition_tells_how_much_of_it_is_made(node: Node) -> None:
    source = {"name": "source", "kind": "video", "packaged": True, "width": 1080, "height": 1920}
    assert node("it.rendition(x)", source | {"segments": 9, "made_segments": 9}) == "1080p as uploaded"
    sound = {"name": "audio", "kind": "audio", "packaged": True, "label": "English", "segments": 9}
    assert node("it.rendition(x)", sound | {"made_segments": 9}) == "English as uploaded"
    assert node("it.rendition(x)", sound | {"label": None, "made_segments": 9}) == "audio as uploaded"
    encoded = {"name": "720p", "kind": "video", "packaged": False, "segments": 450}
    assert node("it.rendition(x)", encoded | {"made_segments": 12}) == "720p 12 of 450"
    assert node("it.rendition(x)", encoded | {"made_segments": 450}) == "720p made"
