"""Which origins may read films."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.wire.origins import allow_origin, frame_ancestors, read_origins

ONE = "https://player.example"
TWO = "http://[::1]:8080"


def test_a_star_is_everybody() -> None:
    assert read_origins(" * ") is None
    assert allow_origin(None, []) == allow_origin(None, ["https://evil.example"]) == "*"
    assert frame_ancestors(None) == "*"


def test_nothing_is_nobody_but_ourselves() -> None:
    origins = read_origins(" ,")
    assert origins == frozenset()
    assert allow_origin(origins, [ONE]) is None
    assert frame_ancestors(origins) == "'self'"


def test_a_list_is_exactly_those() -> None:
    origins = read_origins(f"{ONE}, {TWO}")
    assert origins == frozenset({ONE, TWO})
    assert allow_origin(origins, [ONE]) == ONE
    assert frame_ancestors(origins) == f"'self' {TWO} {ONE}"


@pytest.mark.parametrize(
    "asking",
    [
        [],
        ["null"],
        [""],
        [ONE, ONE],
        [f"{ONE}, {ONE}"],
        [f"{ONE}.evil.example"],
        [f"{ONE}:443"],
        ["http://player.example"],
        ["https://evil.example/https://player.example"],
        ["https://PLAYER.example"],
        ["*"],
    ],
)
def test_whoever_is_not_in_the_list_is_not_allowed(asking: list[str]) -> None:
    assert allow_origin(read_origins(ONE), asking) is None


@pytest.mark.parametrize(
    "text",
    [
        "player.example",
        "https://player.example/",
        "https://player.example/films",
        "https://Player.example",
        "https://*.example",
        "https://player.example:443",
        "http://player.example:80",
        "https://a:b@player.example",
        "https://player.example, *",
        "null",
        "https://player.example;x",
        "https://player.example\nhttps://other.example",
        "ftp://player.example",
    ],
)
def test_what_no_browser_would_send_is_a_mistake_in_the_setting(text: str) -> None:
    with pytest.raises(ValueError, match=r"origin|browsers"):
        read_origins(text)


@given(st.text(), st.lists(st.text(), max_size=3))
def test_no_text_breaks_out_of_its_header(text: str, asking: list[str]) -> None:
    try:
        origins = read_origins(text)
    except ValueError:
        return
    for value in (frame_ancestors(origins), allow_origin(origins, asking) or ""):
        assert value.isascii()
        assert not set(value) & set("\r\n;,")
