"""js/links.js: the addresses of an asset, and what people paste into their pages."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.support.node import Node, node_with

ORIGIN = "https://films.example"
NOTHING = {"original": None, "hls": None, "dash": None, "mp4": None}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("links.js", tmp_path_factory.mktemp("links"))


def asset(prefix: str = "", *, title: str = "Film", **playback: Any) -> dict[str, Any]:
    told = {**NOTHING, "watch": f"{prefix}/watch/watch", **playback}
    return {"title": title, "width": 1920, "height": 1080, "playback": told}


def test_what_is_not_there_yet_is_no_link(node: Node) -> None:
    assert node("it.links(x, '')", asset()) == []
    found = node(f"it.links(x, '{ORIGIN}')", asset(hls="/media/watch/hls/master.m3u8"))
    assert [link["words"] for link in found] == ["Watch page", "Embed code", "HLS playlist"]
    assert found[0]["text"] == f"{ORIGIN}/watch/watch"
    assert found[2]["text"] == f"{ORIGIN}/media/watch/hls/master.m3u8"


@pytest.mark.parametrize("prefix", ["", "/t/watch"])
def test_the_other_addresses_have_the_same_token(node: Node, prefix: str) -> None:
    assert node("it.embedUrl(x)", asset(prefix)) == f"{prefix}/embed/watch"
    assert node("it.downloadUrl(x)", asset(prefix)) == f"{prefix}/media/watch/download"
    assert node("it.isSigned(x)", asset(prefix)) == bool(prefix)


def test_a_title_stays_in_its_quotes_in_the_embed_code(node: Node) -> None:
    title = """"><script>alert('1 & 2')</script>"""
    [tag] = read(node(f"it.embedCode(x, '{ORIGIN}')", asset(title=title)))
    assert tag[0] == "iframe"
    assert dict(tag[1])["title"] == title
    assert dict(tag[1])["src"] == f"{ORIGIN}/embed/watch"
    assert "1920 / 1080" in (dict(tag[1])["style"] or "")


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("", ""),
        ("default-src 'self'; frame-ancestors *", ""),
        (
            "frame-ancestors 'self' https://a.example https://b.example:8443; base-uri 'none'",
            "The embed code works on pages of https://a.example, https://b.example:8443 only.",
        ),
        (
            "base-uri 'none'; frame-ancestors 'self'",
            "The embed code works on no page of others: this service allows none (CORS_ORIGINS).",
        ),
    ],
)
def test_where_the_embed_code_works_is_said_unless_it_is_everywhere(
    node: Node, policy: str, words: str
) -> None:
    assert node("it.embedWords(x)", policy) == words


def read(text: str) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """The tags of a piece of HTML."""
    found: list[tuple[str, list[tuple[str, str | None]]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, attrs))

    Reader().feed(text)
    return found
