from __future__ import annotations

import json
import re
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.wire.delivery import Answers, Delivery, plan
from media_service.wire.preconditions import build_date
from media_service.wire.representation import Representation
from tests.support.shared import SHARED, shared_file
from tests.wire.content import MODIFIED, fields, pattern, read, representation, split_multipart

FILM = representation(1000)


def header(delivery: Delivery, name: str) -> str | None:
    values = [value for key, value in delivery.headers if key == name.lower().encode("ascii")]
    assert len(values) <= 1, f"{name} twice"
    return values[0].decode("latin-1") if values else None


# --- the shared vectors -----------------------------------------------------------------------------------------


def _vectors() -> list[dict[str, Any]]:
    path = SHARED / "http" / "range_vectors.json"
    vectors: list[dict[str, Any]] = json.loads(path.read_text())["vectors"] if path.exists() else []
    return vectors


def _placeholders(now: Representation, old: Representation) -> dict[str, str]:
    assert now.last_modified is not None
    assert old.last_modified is not None
    stamp = build_date(now.last_modified)
    _, date, month, year, time, _ = stamp.split(" ")
    return {
        "${etag}": f'"{now.etag}"',
        "${weak_etag}": f'W/"{now.etag}"',
        "${opaque}": now.etag,
        "${old_etag}": f'"{old.etag}"',
        "${old_etag_re}": re.escape(f'"{old.etag}"'),
        "${old_lm}": build_date(old.last_modified),
        "${lm}": stamp,
        "${lm-1h}": build_date(now.last_modified - 3600),
        "${lm+1h}": build_date(now.last_modified + 3600),
        "${lm-rfc850}": f"Thursday, {date}-{month}-{year[2:]} {time} GMT",
        "${lm-asctime}": f"Thu {month} {int(date):2} {time} {year}",
    }


def _filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    assert "${" not in text, text
    return text


def _outcome_holds(outcome: dict[str, Any], got: Delivery, size: int, values: dict[str, str]) -> bool:
    if got.status != outcome["status"]:
        return False
    for name, wanted in outcome.get("headers", {}).items():
        value = header(got, name)
        if wanted is None or value is None:
            same = wanted is value
        elif isinstance(wanted, dict):
            same = re.search(_filled(wanted["re"], values), value) is not None
        else:
            same = value == _filled(wanted, values)
        if not same:
            return False
    slices = outcome.get("body")
    if slices is None:
        return True
    content = pattern if size < 1 << 20 else lambda start, stop: bytes(stop - start)
    wanted_slices = [content(first, last + 1) for first, last in slices]
    body = read(got.extents())
    if outcome.get("multipart"):
        return [data for _, data in split_multipart(body, header(got, "Content-Type") or "")] == wanted_slices
    return body == b"".join(wanted_slices)


@pytest.mark.parametrize("vector", _vectors(), ids=lambda vector: vector["name"])
def test_every_vector_holds_on_the_pure_engine(vector: dict[str, Any]) -> None:
    """`post-with-range` is answered by the framework (405) before any plan; asked anyway, the plan says the same."""
    old = representation(vector["size"] if vector.get("setup") != "shrink" else 1000, etag="old")
    now = (
        representation(vector["size"], modified=MODIFIED + 60, content=vector.get("content", "pattern"))
        if vector.get("setup")
        else representation(vector["size"], content=vector.get("content", "pattern"))
    )
    values = _placeholders(now, old)
    lines = {
        name: [_filled(line, values) for line in ([value] if isinstance(value, str) else value)]
        for name, value in vector["headers"].items()
    }

    begun = process_time()
    got = plan(vector["method"], fields(**lines), now)
    spent = process_time() - begun

    outcomes = [vector["expect"], *vector["also_ok"]]
    assert any(_outcome_holds(outcome, got, vector["size"], values) for outcome in outcomes), got
    assert got.size <= vector["expect"].get("max_body", vector.get("max_body", 1 << 40))
    assert spent < vector.get("max_ms", 1000) / 1000


def test_the_preferred_outcome_is_the_one_taken_but_for_one_guard() -> None:
    """`also_ok` is needed once only: 30 kB of digits are over the header limit, so ignored instead of refused."""
    shared_file("http/range_vectors.json")
    values = _placeholders(representation(1000), representation(1000, etag="old"))
    others = []
    for vector in _vectors():
        if vector.get("setup"):
            continue
        film = representation(vector["size"], content=vector.get("content", "pattern"))
        lines = {
            name: [_filled(line, values) for line in ([value] if isinstance(value, str) else value)]
            for name, value in vector["headers"].items()
        }
        got = plan(vector["method"], fields(**lines), film)
        if not _outcome_holds(vector["expect"], got, vector["size"], values):
            others.append(vector["name"])
    assert others == ["digits-flood-30KB"]


# --- one by one -------------------------------------------------------------------------------------------------


def test_a_whole_answer_carries_all_that_players_need() -> None:
    got = plan("GET", [], FILM)

    assert got.headers == (
        (b"content-type", b"video/mp4"),
        (b"content-length", b"1000"),
        (b"accept-ranges", b"bytes"),
        (b"etag", b'"v1"'),
        (b"last-modified", build_date(MODIFIED).encode()),
        (b"cache-control", b"public, max-age=31536000, immutable"),
    )
    assert read(got.extents()) == pattern(0, 1000)
    assert all(part.size for part in got.extents())


def test_a_head_has_the_headers_of_the_whole_and_no_parts() -> None:
    got = plan("HEAD", fields(range="bytes=0-9", if_range='"other"'), FILM)

    assert got.headers == plan("GET", [], FILM).headers
    assert (got.status, got.parts) == (200, ())


def test_a_failed_precondition_of_a_head_has_the_headers_of_the_get_and_no_parts() -> None:
    head, get = (plan(method, fields(if_match='"v2"'), FILM) for method in ("HEAD", "GET"))

    assert head.headers == get.headers
    assert (head.status, head.parts) == (412, ())
    assert str(get.size) == header(get, "content-length")


def test_a_304_repeats_what_a_cache_updates_and_says_nothing_of_a_length() -> None:
    got = plan("GET", fields(if_none_match='"v1"', range="bytes=0-9"), FILM)

    assert got.status == 304
    assert got.parts == ()
    assert [name for name, _ in got.headers] == [b"etag", b"last-modified", b"cache-control"]


def test_without_a_known_time_there_is_no_last_modified() -> None:
    assert header(plan("GET", [], representation(10, modified=None)), "last-modified") is None


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        (fields(range="bytes=1000-"), 416, "range_not_satisfiable"),
        (fields(range="bytes=x"), 416, "range_not_satisfiable"),
        (fields(if_match='"v2"', range="bytes=1000-"), 412, "precondition_failed"),
    ],
)
def test_refusals_are_problems_that_no_cache_keeps(
    headers: list[tuple[bytes, bytes]], status: int, code: str
) -> None:
    got = plan("GET", headers, FILM)
    problem = json.loads(read(got.extents()))

    assert got.status == status
    assert header(got, "content-type") == "application/problem+json"
    assert header(got, "cache-control") == "no-store"
    assert header(got, "etag") is None
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, "about:blank")
    assert problem["title"]
    assert problem["detail"]


def test_only_a_416_says_how_long_the_whole_is() -> None:
    assert header(plan("GET", fields(range="bytes=1000-"), FILM), "content-range") == "bytes */1000"
    assert header(plan("GET", fields(if_match='"v2"'), FILM), "content-range") is None


def test_preconditions_come_before_the_range() -> None:
    assert plan("GET", fields(range="bytes=9999-", if_none_match='"v1"'), FILM).status == 304
    assert plan("GET", fields(range="bytes=9999-", if_range='"other"'), FILM).status == 200


def test_other_methods_are_told_which_there_are() -> None:
    got = plan("DELETE", fields(range="bytes=0-9", if_match='"v1"'), FILM)

    assert got.status == 405
    assert header(got, "allow") == "GET, HEAD"


def test_header_names_count_in_any_case_and_white_space_around_values_does_not() -> None:
    got = plan("GET", [(b"RANGE", b" \tbytes=0-9 "), (b"If-Range", b' "v1"\t')], FILM)

    assert read(got.extents()) == pattern(0, 10)


@given(
    wanted=st.one_of(
        st.from_regex(r"bytes=[0-9]{1,4}-[0-9]{0,4}", fullmatch=True),
        st.from_regex(r"bytes=([0-9]{0,4}-[0-9]{0,4},?){1,3}", fullmatch=True),
        st.text(st.characters(max_codepoint=255), max_size=20).map(lambda text: text.strip(" \t")),
    ),
    size=st.sampled_from([0, 1, 1000, 5000]),
)
def test_a_range_by_itself_is_answered_as_in_a_request_whose_conditions_hold(wanted: str, size: int) -> None:
    film = representation(size)
    answers = Answers(film, [("Cache-Control", "private, max-age=7")])
    for conditions in ((), fields(if_range=f'"{film.etag}"'), fields(if_match=f'"{film.etag}"', host="x")):
        assert answers.to_range(wanted) == answers.to("GET", [*conditions, *fields(range=wanted)])


@pytest.mark.parametrize(
    ("wanted", "status", "span"),
    [
        ("bytes=0-", 206, (0, 1000)),
        ("bytes=10-19", 206, (10, 20)),
        ("bytes=990-5000", 206, (990, 1000)),
        ("bytes=-7", 206, (993, 1000)),
        ("bytes=1000-", 416, None),
        ("bytes=2-1", 416, None),
        ("frames=2-1", 200, (0, 1000)),
    ],
)
def test_a_range_by_itself_selects_these_bytes(
    wanted: str, status: int, span: tuple[int, int] | None
) -> None:
    answer = Answers(FILM).to_range(wanted)
    assert answer.status == status
    if span is not None:
        assert read(answer.extents()) == pattern(*span)
        assert answer.size == span[1] - span[0]
        assert header(answer, "ETag") == f'"{FILM.etag}"'
    assert (status == 206) == ((header(answer, "Content-Range") or "").startswith("bytes ") and status < 400)


def test_two_range_lines_are_no_range() -> None:
    assert plan("GET", fields(range=["bytes=0-9", "bytes=20-29"]), FILM).status == 200


# --- properties -------------------------------------------------------------------------------------------------

VALUES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b'"v1"', b'W/"v1"', b"*", b"", build_date(MODIFIED).encode(), b"bytes=0-0,-1"]),
    st.text("bytes=0123456789-, ", max_size=40).map(lambda text: b"bytes=" + text.encode()),
)
NAMES = st.sampled_from(
    [b"range", b"if-range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"]
)
REQUESTS = st.lists(st.tuples(st.one_of(NAMES, st.binary(max_size=10)), VALUES), max_size=6)


@given(st.sampled_from(["GET", "HEAD", "POST", ""]), REQUESTS, st.sampled_from([0, 1, 2, 100, 1000]))
def test_any_header_bytes_get_an_answer_whose_length_is_true_and_never_much_above_the_files(
    method: str, headers: list[tuple[bytes, bytes]], size: int
) -> None:
    got = plan(method, headers, representation(size))

    assert got.status in {200, 206, 304, 405, 412, 416}
    length = header(got, "content-length")
    if method != "HEAD":
        assert got.size == int(length or "0")
        assert got.size <= size + 8 * 200  # at most eight part heads
    assert (length is None) == (got.status == 304)
    for name, value in got.headers:
        assert name == name.lower()
        assert not {b"\r", b"\n", b"\0"} & {bytes([byte]) for byte in name + value}


SPECS = st.lists(st.tuples(st.integers(0, 120), st.integers(0, 40)), min_size=1, max_size=8)


@given(SPECS, st.integers(1, 100))
def test_a_multi_range_answer_holds_what_the_specs_select_and_no_byte_twice(
    specs: list[tuple[int, int]], size: int
) -> None:
    text = "bytes=" + ",".join(f"{start}-{start + more}" for start, more in specs)
    wanted = {i for start, more in specs for i in range(start, start + more + 1) if i < size}

    got = plan("GET", fields(range=text), representation(size))

    if got.status != 206:
        assert got.status == (200 if wanted else 416)
        return
    body = read(got.extents())
    assert len(body) == int(header(got, "content-length") or "")
    where = header(got, "content-range")
    parts = (
        split_multipart(body, header(got, "content-type") or "")
        if where is None
        else [({"content-range": where}, body)]
    )
    sent: list[int] = []
    for part, data in parts:
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", part["content-range"])
        assert match is not None
        first, last, total = map(int, match.groups())
        assert total == size
        assert data == pattern(first, last + 1)
        sent.extend(range(first, last + 1))
    assert len(sent) == len(set(sent))
    assert set(sent) == wanted


@pytest.mark.parametrize(
    "value", [b'"a",' * 15_000, b"bytes=" + b"0-," * 20_000, b"," * 60_000, b"\xff" * 60_000]
)
@pytest.mark.parametrize("name", [b"range", b"if-range", b"if-match", b"if-none-match", b"if-modified-since"])
def test_sixty_kilobytes_of_any_header_are_answered_at_once(name: bytes, value: bytes) -> None:
    begun = process_time()
    plan("GET", [(b"range", b"bytes=0-9"), (name, value)], FILM)
    assert process_time() - begun < 5  # far more than a busy machine needs; what is quadratic takes minutes
