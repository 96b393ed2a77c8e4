"""Who waits for what."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from media_service.errors import NotFound, NotReady
from media_service.work.requests import MOST, MOST_OF_ONE, Key, Requests
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


async def test_of_one_film_no_more_is_waited_for_than_comes_in_time() -> None:
    requests = Requests()
    with ExitStack() as stack:
        for number in range(MOST_OF_ONE):
            stack.enter_context(requests.joined(Key("film", "36p", number), RENDITION))
        with pytest.raises(NotReady), requests.joined(Key("film", "18p", 0), RENDITION):
            pass
        # Who asks for the same waits with the others, and other films have room.
        with requests.joined(ONE, RENDITION) as one, requests.joined(Key("another", "36p", 0), RENDITION):
            assert one.waiting == 2
    with requests.joined(Key("film", "18p", 0), RENDITION):
        pass


async def test_in_all_no_more_is_waited_for_than_comes_in_time() -> None:
    requests = Requests()
    with ExitStack() as stack:
        for number in range(MOST):
            stack.enter_context(requests.joined(Key(f"film {number}", "36p", 0), RENDITION))
        with pytest.raises(NotReady), requests.joined(ONE, RENDITION):
            pass
        assert not requests.wanted(ONE)
