"""What is kept of representations that were put together, and how much of it at most."""

from __future__ import annotations

import pytest

from media_service.playback import kept as module
from media_service.playback.kept import KeptRepresentations, held_bytes
from media_service.wire.layout import Layout
from media_service.wire.representation import BlobExtent, Representation

HEAD = 1000  # bytes


def representation(extents: int, head: int = HEAD) -> Representation:
    spans = [BlobExtent("a", 0, 1) for _ in range(extents)]
    return Representation(Layout.of(spans, head=bytes(head)), "video/mp4", "etag")


def test_what_was_kept_is_the_very_same() -> None:
    kept, film = KeptRepresentations(), representation(3)
    assert kept.get("a") is None
    assert kept.keep("a", film) is film
    assert kept.get("a") is film


def test_those_not_used_for_longest_go_first() -> None:
    kept = KeptRepresentations(most=2)
    for key in "ab":
        kept.keep(key, representation(1))
    kept.get("a")
    kept.keep("c", representation(1))
    assert [key for key in "abc" if kept.get(key)] == ["a", "c"]


def test_long_films_take_the_room_of_many_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT_BYTES", held_bytes(representation(100)))
    kept = KeptRepresentations()
    for key in "abcd":
        kept.keep(key, representation(5, head=0))
    assert len(kept) == 4
    kept.keep("long", representation(99))
    assert len(kept) == 1
    kept.keep("longer", representation(101))
    assert kept.get("long")
    assert kept.get("longer") is None


def test_a_header_in_memory_weighs_what_it_is() -> None:
    assert held_bytes(representation(0, head=5000)) - held_bytes(representation(0, head=1000)) == 4000


def test_keeping_the_same_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT_BYTES", held_bytes(representation(10)))
    kept = KeptRepresentations()
    for _ in range(5):
        kept.keep("a", representation(6))
    assert kept.get("a")


def test_what_is_kept_is_weighed_without_a_look_at_its_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """A film's own packets lie in half a million places: on the loop that would be a second for every viewer."""
    kept, film = KeptRepresentations(most=1), representation(100)

    def look(*_: object) -> BlobExtent:
        raise AssertionError

    monkeypatch.setattr(Layout, "_extent", look)
    for key in "ab":
        assert kept.keep(key, film) is film
