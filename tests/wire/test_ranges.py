from __future__ import annotations

from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from media_service.errors import RangeNotSatisfiable
from media_service.wire.ranges import MAX_HEADER_CHARS, MAX_RANGES, parse
from media_service.wire.representation import Span

SIZE = 1000


@pytest.mark.parametrize(
    ("value", "spans"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-", [(0, 1000)]),
        ("bytes=990-1990", [(990, 1000)]),
        ("bytes=-10", [(990, 1000)]),
        ("bytes=-5000", [(0, 1000)]),
        ("BYTES=5-6", [(5, 7)]),
        (" bytes= 0-9 ,, 20-29 ,", [(0, 10), (20, 30)]),
        ("bytes=500-509,0-9", [(500, 510), (0, 10)]),
        ("bytes=0-9,5000-,-0", [(0, 10)]),
        ("bytes=0-" + "9" * 5000, [(0, 1000)]),
        ("bytes=" + "0" * 5000 + "7-" + "0" * 100 + "8", [(7, 9)]),
    ],
)
def test_valid_sets_select_their_bytes(value: str, spans: list[tuple[int, int]]) -> None:
    assert parse(value, SIZE) == tuple(Span(*span) for span in spans)


@pytest.mark.parametrize(
    ("value", "spans"),
    [
        ("bytes=0-99,100-199", [(0, 200)]),
        ("bytes=100-199,0-99", [(0, 200)]),
        ("bytes=0-99,101-199", [(0, 100), (101, 200)]),
        ("bytes=0-99,50-149", [(0, 150)]),
        ("bytes=900-909,20-29,0-9,10-19", [(900, 910), (0, 30)]),
        ("bytes=0-99,10-19,500-509", [(0, 100), (500, 510)]),
        ("bytes=0-9,500-509,10-19", [(0, 20), (500, 510)]),
    ],
)
def test_touching_and_overlapping_ranges_become_one_at_the_place_of_the_first(
    value: str, spans: list[tuple[int, int]]
) -> None:
    assert parse(value, SIZE) == tuple(Span(*span) for span in spans)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "foo",
        "bytes",
        "seconds=0-9",
        "none=0-1",
        "=0-9",
        "bytes=0-,0-",
        "bytes=0-998,-2",
        "bytes=" + ",".join(f"{i}-{i}" for i in range(0, 2 * MAX_RANGES + 2, 2)),
        "bytes=" + "a," * (MAX_RANGES + 1),
        "bytes=0-9" + " " * MAX_HEADER_CHARS,
    ],
)
def test_what_is_no_byte_range_or_a_flood_is_ignored(value: str) -> None:
    assert parse(value, SIZE) is None


@pytest.mark.parametrize(
    "value",
    [
        "bytes=",
        "bytes=,,,",
        "bytes=-",
        "bytes=10",
        "bytes=a-b",
        "bytes=+0-+9",
        "bytes=0_0-9",
        "bytes=0x0-0x9",
        "bytes=\u00b2-9",
        "bytes=\u0661-9",
        "bytes=0 - 9",
        "bytes =0-9",
        "bytes=--5",
        "bytes=0-9-",
        "bytes=0-9,5-4",
        "bytes=" + "9" * 30 + "-" + "8" * 30 + ",0-9",
        "bytes=1000-",
        "bytes=-0",
        "bytes=18446744073709551621-18446744073709551625",
    ],
)
def test_invalid_and_unsatisfiable_sets_are_refused(value: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse(value, SIZE)


def test_of_nothing_a_suffix_is_ignored_and_a_position_refused() -> None:
    assert parse("bytes=-5", 0) is None
    assert parse("bytes=0-0,-5", 0) is None
    with pytest.raises(RangeNotSatisfiable):
        parse("bytes=0-", 0)


def _selected(spec: tuple[int | None, int | None], size: int) -> set[int]:
    """What RFC 9110 s14.1.2 says of one spec, said with sets of positions."""
    first, last = spec
    if first is None:
        return set(range(size)[-(last or 0) :]) if last else set()
    return {i for i in range(first, size) if last is None or i <= last}


SPECS = st.one_of(
    st.tuples(st.integers(0, 60), st.none()),
    st.tuples(st.none(), st.integers(0, 60)),
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: (min(pair), max(pair))),
)


@given(st.lists(SPECS, min_size=1, max_size=MAX_RANGES), st.integers(0, 50) | st.just(500))
def test_the_spans_are_disjoint_and_hold_what_the_specs_select_and_nothing_else(
    specs: list[tuple[int | None, int | None]], size: int
) -> None:
    text = ("-".join("" if number is None else str(number) for number in spec) for spec in specs)
    wanted = [_selected(spec, size) for spec in specs]
    union = set().union(*wanted)
    try:
        spans = parse("bytes=" + ",".join(text), size)
    except RangeNotSatisfiable:
        assert not union
        return
    if spans is None:
        assert size == 0 or sum(map(len, wanted)) > size
        return
    positions = [i for span in spans for i in range(span.start, span.stop)]
    assert len(positions) == len(set(positions)) <= size
    assert set(positions) == union
    # Order of the request: each span begins where a spec is first met that no earlier span holds.
    firsts = [next(n for n, some in enumerate(wanted) if some and min(some) in _run(span)) for span in spans]
    assert firsts == sorted(firsts)


def _run(span: Span) -> range:
    return range(span.start, span.stop)


@given(
    st.one_of(st.text(), st.text("bytes=0123456789-, \t").map(lambda text: "bytes=" + text)),
    st.integers(0, 1 << 63),
)
@example("bytes=" + "1" * 8000, 1)
def test_any_text_gives_spans_within_the_size_or_none_or_a_refusal(value: str, size: int) -> None:
    try:
        spans = parse(value, size)
    except RangeNotSatisfiable:
        return
    for span in spans or ():
        assert 0 <= span.start < span.stop <= size


@pytest.mark.parametrize(
    "unit",
    ["1", "1-", "-", ",", "1-2,", "bytes=", "0", " ", "\t,", "9-9,"],
)
def test_a_flood_costs_next_to_nothing(unit: str) -> None:
    floods = ["bytes=" + unit * (length // len(unit)) for length in (8000, 64_000, 1_000_000)]
    begun = process_time()
    for flood in floods:
        try:
            parse(flood, SIZE)
        except RangeNotSatisfiable:
            continue
    assert process_time() - begun < 5  # far more than a busy machine needs; what is quadratic takes minutes
