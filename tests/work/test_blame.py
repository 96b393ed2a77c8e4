"""Who is to blame for the end of a run."""

from __future__ import annotations

from dataclasses import replace

from media_service.errors import TranscodeFailed
from media_service.work.blame import KILLS, Kills, RunBroke, blamed
from media_service.work.runs import Run

RUN = Run("film", ("720p", "240p"), 4, 8)
DUE = {"720p": 5, "240p": 5}


def test_it_is_the_stream_that_was_wrong_and_not_the_one_that_is_behind() -> None:
    assert blamed(RUN, {"720p": 5, "240p": 7}, ["240p"]) == {"240p": 7}


def test_each_wrong_stream_is_to_blame_for_its_own_segment() -> None:
    assert blamed(RUN, {"720p": 5, "240p": 7}, ["240p", "720p"]) == {"720p": 5, "240p": 7}


def test_where_the_converter_ended_it_is_what_has_come_least_far() -> None:
    assert blamed(RUN, {"720p": 5, "240p": 7}, []) == {"720p": 5}
    assert blamed(RUN, {"720p": 7, "240p": 7}, []) == {"720p": 7, "240p": 7}


def test_what_is_whole_is_never_to_blame() -> None:
    assert blamed(RUN, {"720p": 5, "240p": 8}, ["240p"]) == {"720p": 5}
    assert blamed(RUN, {"720p": 8, "240p": 8}, ["240p"]) == {}


def test_before_anything_began_it_is_all_that_was_to_come_first() -> None:
    assert blamed(RUN, {}, []) == {"720p": 4, "240p": 4}


def test_it_is_said_in_words() -> None:
    broke = RunBroke({"720p": 4, "240p": 5}, TranscodeFailed("No picture."))
    assert str(broke) == "segment 4 of 720p, 5 of 240p: No picture."


def test_kills_at_one_place_are_no_accident_in_the_end() -> None:
    kills = Kills()
    assert [kills.suspect(RUN, DUE) for _ in range(KILLS)] == [False] * (KILLS - 1) + [True]


def test_kills_elsewhere_are_others() -> None:
    kills = Kills()
    for number in range(10):
        assert not kills.suspect(RUN, {"720p": number})
        assert not kills.suspect(replace(RUN, asset_id=f"another {number}"), DUE)


def test_what_failed_before_is_suspect_at_once() -> None:
    assert Kills().suspect(replace(RUN, attempt=1), DUE)


def test_what_is_forgotten_is_not_held_against_a_film() -> None:
    kills = Kills()
    for _ in range(KILLS - 1):
        kills.suspect(RUN, DUE)
    kills.forget("film")
    assert not kills.suspect(RUN, DUE)
