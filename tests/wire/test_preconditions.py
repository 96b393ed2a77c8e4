from __future__ import annotations

from email.utils import formatdate
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.wire.preconditions import (
    EntityTag,
    Verdict,
    build_date,
    build_tag,
    evaluate,
    parse_date,
    parse_tags,
    range_applies,
)
from tests.wire.content import MODIFIED, representation

FILM = representation(1000)
DATELESS = representation(1000, modified=None)
THEN, BEFORE, AFTER = (build_date(MODIFIED + offset) for offset in (0, -3600, 3600))


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({}, Verdict.PROCEED),
        ({"if-match": ['"v1"']}, Verdict.PROCEED),
        ({"if-match": ["*"]}, Verdict.PROCEED),
        ({"if-match": ['"a"', '"v1"']}, Verdict.PROCEED),
        ({"if-match": ['W/"v1"']}, Verdict.FAILED),
        ({"if-match": ['"v2"']}, Verdict.FAILED),
        ({"if-match": [""]}, Verdict.FAILED),
        ({"if-match": ["v1"]}, Verdict.FAILED),
        ({"if-match": ['*, "v1"']}, Verdict.FAILED),
        ({"if-match": ['"v1"'], "if-unmodified-since": [BEFORE]}, Verdict.PROCEED),
        ({"if-unmodified-since": [BEFORE]}, Verdict.FAILED),
        ({"if-unmodified-since": [THEN]}, Verdict.PROCEED),
        ({"if-unmodified-since": ["yesterday"]}, Verdict.PROCEED),
        ({"if-unmodified-since": [BEFORE, BEFORE]}, Verdict.PROCEED),
        ({"if-none-match": ['"v1"']}, Verdict.NOT_MODIFIED),
        ({"if-none-match": ['W/"v1"']}, Verdict.NOT_MODIFIED),
        ({"if-none-match": ["*"]}, Verdict.NOT_MODIFIED),
        ({"if-none-match": ['"v2"']}, Verdict.PROCEED),
        ({"if-none-match": ['"v1" "v2"']}, Verdict.PROCEED),
        ({"if-none-match": ['"v2"'], "if-modified-since": [THEN]}, Verdict.PROCEED),
        ({"if-modified-since": [THEN]}, Verdict.NOT_MODIFIED),
        ({"if-modified-since": [AFTER]}, Verdict.NOT_MODIFIED),
        ({"if-modified-since": [BEFORE]}, Verdict.PROCEED),
        ({"if-match": ['"v2"'], "if-none-match": ['"v1"']}, Verdict.FAILED),
        ({"if-unmodified-since": [BEFORE], "if-none-match": ['"v1"']}, Verdict.FAILED),
        ({"if-match": ['"v1"'], "if-none-match": ['"v1"']}, Verdict.NOT_MODIFIED),
    ],
)
def test_preconditions_are_evaluated_in_the_order_of_the_rfc(
    fields: dict[str, list[str]], verdict: Verdict
) -> None:
    assert evaluate(fields, FILM) is verdict


@pytest.mark.parametrize("name", ["if-modified-since", "if-unmodified-since"])
def test_dates_say_nothing_about_a_representation_without_one(name: str) -> None:
    assert evaluate({name: [BEFORE]}, DATELESS) is Verdict.PROCEED
    assert evaluate({name: [AFTER]}, DATELESS) is Verdict.PROCEED


@pytest.mark.parametrize(
    ("values", "applies"),
    [
        (None, True),
        (['"v1"'], True),
        ([THEN], True),
        (['W/"v1"'], False),
        (['"v1",'], False),
        (['"v1", "v2"'], False),
        (['"v1"', '"v1"'], False),
        (["v1"], False),
        ([""], False),
        (["*"], False),
        ([BEFORE], False),
        ([AFTER], False),
    ],
)
def test_if_range_needs_the_very_validator(values: list[str] | None, *, applies: bool) -> None:
    assert range_applies({} if values is None else {"if-range": values}, FILM) is applies


def test_if_range_with_a_date_is_false_without_a_last_modified() -> None:
    assert not range_applies({"if-range": [THEN]}, DATELESS)


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ("", ()),
        (" ,, ", ()),
        ('"a"', (EntityTag("a"),)),
        ('""', (EntityTag(""),)),
        (',"a" ,\tW/"b,c", ', (EntityTag("a"), EntityTag("b,c", weak=True))),
        ('"a" b', None),
        ('"a""b"', None),
        ('w/"a"', None),
        ('W/ "a"', None),
        ('"a', None),
        ("W/", None),
        ("*", None),
        ('"a b"', None),
        ('"a\x7f"', None),
    ],
)
def test_lists_of_entity_tags(value: str, tags: tuple[EntityTag, ...] | None) -> None:
    assert parse_tags(value) == tags


TAGS = st.builds(EntityTag, st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E)), st.booleans())


@given(st.lists(TAGS))
def test_a_list_that_was_built_reads_the_same(tags: list[EntityTag]) -> None:
    assert parse_tags(", ".join(map(build_tag, tags))) == tuple(tags)


@given(st.text(st.characters(max_codepoint=255)))
def test_any_text_is_a_list_or_none(value: str) -> None:
    tags = parse_tags(value)
    assert tags is None or all('"' not in tag.opaque for tag in tags)


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun Nov 06 08:49:37 1994",
    ],
)
def test_the_three_forms_of_a_date_are_read(value: str) -> None:
    assert parse_date(value, near=MODIFIED) == 784111777


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "0",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun,  06 Nov 1994 08:49:37 GMT",
        "Sonntag, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        ", 06 Nov 1994 08:49:37 GMT",
        " , , , , , GMT",
        "Sun Nov 6 08:49:37 1994",
    ],
)
def test_anything_else_is_no_date(value: str) -> None:
    assert parse_date(value, near=MODIFIED) is None


def test_a_leap_second_is_the_next_one() -> None:
    assert parse_date("Sat, 31 Dec 2016 23:59:60 GMT", near=0) == parse_date(
        "Sun, 01 Jan 2017 00:00:00 GMT", near=0
    )


@pytest.mark.parametrize(("year", "full"), [("26", 2026), ("76", 2076), ("77", 1977), ("99", 1999)])
def test_two_digits_mean_the_year_within_half_a_century(year: str, full: int) -> None:
    expected = parse_date(f"Fri, 20 Nov {full} 00:00:00 GMT", near=0)

    assert parse_date(f"Friday, 20-Nov-{year} 00:00:00 GMT", near=MODIFIED) == expected


@given(st.integers(0, 253402300799))
def test_a_date_that_was_built_reads_the_same_and_is_what_the_standard_library_writes(seconds: int) -> None:
    assert build_date(seconds) == formatdate(seconds, usegmt=True)
    assert parse_date(build_date(seconds), near=0) == seconds


@given(st.one_of(st.text(), st.text("Sun, 06Nov19:GMTday-")), st.integers(-(1 << 33), 1 << 33))
def test_any_text_is_a_date_or_none(value: str, near: int) -> None:
    parse_date(value, near=near)


@pytest.mark.parametrize("unit", ['"', '"a",', "W/", '"a" ', ",", " ", '"a"'])
def test_a_flood_of_tags_costs_time_in_step_with_its_length(unit: str) -> None:
    begun = process_time()
    parse_tags(unit * (64_000 // len(unit)))
    assert process_time() - begun < 5  # far more than a busy machine needs; what is quadratic takes minutes
