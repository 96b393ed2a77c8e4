"""Who waits for what."""

from __future__ import annotations

import pytest

from media_service.errors import NotFound
from media_service.work.requests import Key, Requests
from tests.work import streams

RENDITION = streams.picture_rendition(0, 1, 2, 3)
ONE, TWO = Key("film", "36p", 1), Key("film", "36p", 2)


async def test_those_who_wait_for_the_same_wait_together_and_it_ends_with_the_last() -> None:
    requests = Requests()
    with requests.joined(ONE, RENDITION) as first:
        with requests.joined(ONE, RENDITION) as second:
            assert second is first
            assert (first.waiting, requests.wanted(ONE), requests.wanted(TWO)) == (2, True, False)
        assert (first.waiting, requests.wanted(ONE)) == (1, True)
    assert not requests.wanted(ONE)


async def test_the_newest_is_first_and_asking_again_makes_it_newer() -> None:
    requests = Requests()
    with requests.joined(ONE, RENDITION) as one, requests.joined(TWO, RENDITION) as two:
        one.known = two.known = True
        assert requests.pending() == [two, one]
        with requests.joined(ONE, RENDITION):
            assert requests.pending() == [one, two]


async def test_nothing_begins_before_the_catalog_was_asked() -> None:
    requests = Requests()
    with requests.joined(ONE, RENDITION) as one:
        assert requests.pending() == []
        one.known = True
        assert requests.pending() == [one]


async def test_what_came_is_told_to_whom_it_concerns() -> None:
    requests = Requests()
    with requests.joined(ONE, RENDITION) as one, requests.joined(TWO, RENDITION) as two:
        two.known = True
        requests.came("film", "36p", [0, 1])
        requests.came("film", "36p", [1])
        requests.came("another film", "36p", [2])
        requests.came("film", "18p", [2])
        assert one.done.done()
        assert requests.pending() == [two]


async def test_a_refusal_is_an_error_for_all_and_whoever_asks_then_asks_anew() -> None:
    requests = Requests()
    with requests.joined(ONE, RENDITION) as first:
        first.refuse(NotFound("Gone."))
        first.refuse(NotFound("Twice."))
        with pytest.raises(NotFound, match=r"Gone\."):
            first.done.result()
        with requests.joined(ONE, RENDITION) as second:
            assert second is not first
        assert first.waiting == 1
