"""Which run is next: everything is made once, the first things first, and damage does not multiply."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from media_service.store.records import Failure
from media_service.timeline.outline import Outline
from media_service.work.runs import (
    AHEAD_SECONDS,
    LONGEST_SECONDS,
    MAX_ATTEMPTS,
    Run,
    failed_for_good,
    hopeless,
    next_run,
    run_from,
    shortened,
)
from tests.timeline.outlines import audio_facts, film, packaged_picture, sound_film

FILM = film(60, audio=(audio_facts(), audio_facts(2, channels=6)))
PICTURES = ("1080p", "720p", "480p", "240p")
COUNT = 15  # segments of each
ONCE = Failure(attempts=1, code="transcode_failed", detail="once")
FOR_GOOD = Failure(attempts=MAX_ATTEMPTS, code="transcode_failed", detail="thrice")


def everything(outline: Outline) -> dict[str, set[int]]:
    return {one.name: set(range(one.count)) for one in outline.encoded}


def filled(outline: Outline, made: dict[str, set[int]], failed: dict[tuple[str, int], Failure]) -> list[Run]:
    """The runs of a batch in which all goes well from here on."""
    runs = []
    while (run := next_run("film", outline, made, failed)) is not None:
        runs.append(run)
        for name in run.names:
            made.setdefault(name, set()).update(range(run.first, run.stop))
    return runs


def spans(runs: list[Run], *names: str) -> list[tuple[int, int]]:
    return [(run.first, run.stop) for run in runs if run.names == names]


def test_the_main_sound_comes_first_then_the_picture_then_other_sounds() -> None:
    runs = filled(FILM, {}, {})
    assert [run.names for run in runs[:4]] == [("audio",), PICTURES, ("audio-2",), ("audio-2-51",)]
    assert all(run.first == 0 and run.attempt == 0 for run in runs[:4])


def test_runs_are_short_at_first_and_double() -> None:
    runs = filled(FILM, {}, {})
    assert spans(runs, *PICTURES) == [(0, 1), (1, 2), (2, 4), (4, 8), (8, COUNT)]
    assert spans(runs, "audio") == [(0, 4), (4, 8), (8, COUNT)]


def test_no_run_is_longer_than_a_crash_may_cost() -> None:
    outline = film(3600)
    runs = filled(outline, {}, {})
    first = outline.encoded[0]
    longest = max(first.seconds(run.stop) - first.seconds(run.first) for run in runs)
    assert LONGEST_SECONDS / 2 < longest <= LONGEST_SECONDS + 8
    assert len(runs) < 60


def test_what_is_packaged_is_not_made() -> None:
    outline = film(60, packaged=(packaged_picture(),))
    names = {name for run in filled(outline, {}, {}) for name in run.names}
    assert names == {one.name for one in outline.renditions} - {"source"}


def test_sound_alone_is_made() -> None:
    assert spans(filled(sound_film(30), {}, {}), "audio")[0] == (0, 4)


def test_holes_that_are_filled_are_passed_over_and_what_some_lack_is_made_for_these() -> None:
    made = everything(FILM)
    for name in PICTURES:
        made[name] -= {5, 6, 7, 8, 11}
    made["720p"] |= {7}
    runs = filled(FILM, made, {})
    assert [(run.names, run.first, run.stop) for run in runs] == [
        (PICTURES, 5, 7),
        (("1080p", "480p", "240p"), 7, 8),
        (PICTURES, 8, 9),
        (PICTURES, 11, 12),
    ]


def test_what_failed_is_tried_alone_and_later_attempts_say_so() -> None:
    made = everything(FILM)
    for name in PICTURES:
        made[name] -= set(range(4, 8))
    failed = {(name, 5): ONCE for name in PICTURES}
    runs = filled(FILM, made, failed)
    assert [(run.first, run.stop, run.attempt) for run in runs] == [(4, 5, 0), (5, 6, 1), (6, 8, 0)]


def test_what_failed_for_good_is_not_tried_again() -> None:
    made = everything(FILM)
    for name in PICTURES:
        made[name] -= set(range(4, 8))
    failed = {(name, 5): FOR_GOOD for name in PICTURES}
    assert failed_for_good(failed) == {(name, 5) for name in PICTURES}
    assert spans(filled(FILM, made, failed), *PICTURES) == [(4, 5), (6, 8)]


def test_one_poison_segment_is_no_reason_to_give_up_and_many_with_nothing_made_are() -> None:
    def lost(*numbers: int) -> dict[tuple[str, int], Failure]:
        return {(name, number): FOR_GOOD for name in PICTURES for number in numbers}

    everywhere = everything(FILM)
    sound = {"audio": set(range(COUNT))}
    assert not hopeless(FILM, {}, lost(0))
    assert not hopeless(FILM, everywhere, lost(0, 1, 2, 3, 4))
    assert hopeless(FILM, {}, lost(0, 1, 2))
    assert hopeless(FILM, sound, lost(0, 1, 2))  # sound is no comfort for a picture
    assert not hopeless(FILM, {}, dict.fromkeys(lost(0, 1, 2), ONCE))


def test_a_run_for_a_viewer_begins_with_what_he_waits_for_and_reads_ahead() -> None:
    rendition = FILM.rendition("480p")
    run = run_from("film", rendition, 3, 0)
    assert (run.names, run.first, run.attempt) == (("480p",), 3, 0)
    assert AHEAD_SECONDS <= rendition.seconds(run.stop) - rendition.seconds(run.first) < AHEAD_SECONDS + 8
    assert run_from("film", rendition, COUNT - 1, 0) == Run("film", ("480p",), COUNT - 1, COUNT)
    assert run_from("film", rendition, 3, 2) == Run("film", ("480p",), 3, 4, 2)


def test_it_ends_where_something_is_there_already() -> None:
    run = Run("film", ("480p",), 3, 11)
    assert shortened(run, {"720p": {4}, "480p": {2, 9}}, {}).stop == 9
    assert shortened(run, {"480p": {9}}, {("480p", 5): ONCE}).stop == 5
    assert shortened(run, {"480p": {3, 4}}, {}) == Run("film", ("480p",), 3, 4)
    assert shortened(run, {}, {("480p", 3): ONCE}) == run


numbers = st.sets(st.integers(0, COUNT - 1))


@given(
    made=st.fixed_dictionaries(dict.fromkeys((*PICTURES, "audio", "audio-2"), numbers)),
    failed=st.dictionaries(
        st.tuples(st.sampled_from([*PICTURES, "audio"]), st.integers(0, COUNT - 1)),
        st.sampled_from([ONCE, FOR_GOOD]),
    ),
)
def test_whatever_is_there_each_lacking_segment_is_made_exactly_once(
    made: dict[str, set[int]], failed: dict[tuple[str, int], Failure]
) -> None:
    lacking = {
        (one.name, number)
        for one in FILM.encoded
        for number in range(one.count)
        if number not in made.get(one.name, ())
    } - failed_for_good(failed)
    runs = filled(FILM, {name: set(there) for name, there in made.items()}, failed)
    tried = Counter(
        (name, number) for run in runs for name in run.names for number in range(run.first, run.stop)
    )
    assert set(tried) == lacking
    assert set(tried.values()) <= {1}
