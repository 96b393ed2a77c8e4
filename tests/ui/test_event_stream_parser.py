"""js/events.js: the HTML standard's event streams, whole, split everywhere, byte by byte and fuzzed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.node import Node, node_with

FEED = """(() => {
  const parser = new it.EventStreamParser();
  const events = x.flatMap((piece) => parser.feed(Uint8Array.from(piece)));
  return { events, last: parser.lastEventId, retry: parser.retry };
})()"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("events.js", tmp_path_factory.mktemp("events"))


def parse(node: Node, *pieces: bytes) -> dict[str, Any]:
    found: dict[str, Any] = node(FEED, [list(piece) for piece in pieces])
    return found


def event(data: str, kind: str = "message", number: str = "") -> dict[str, str]:
    return {"type": kind, "data": data, "id": number}


CASES = {
    "a plain event": (b"data: one\n\n", [event("one")]),
    "an event with type and id": (b"event: asset\nid: 7\ndata: {}\n\n", [event("{}", "asset", "7")]),
    "several data lines are joined": (b"data: a\ndata:b\ndata\n\n", [event("a\nb\n")]),
    "only the first space is dropped": (b"data:  two spaces\n\n", [event(" two spaces")]),
    "comments are heartbeats": (b": beat\n\n:\n\ndata: x\n: in between\n\n", [event("x")]),
    "no data, no event, and the type is forgotten": (b"event: a\n\ndata: x\n\n", [event("x")]),
    "the id stays for the next events": (
        b"id: 1\ndata: a\n\ndata: b\n\n",
        [event("a", number="1"), event("b", number="1")],
    ),
    "an id with NUL is ignored": (b"id: 1\nid: 2\0\ndata: a\n\n", [event("a", number="1")]),
    "an unfinished event is not delivered": (b"data: a\n\ndata: b\n", [event("a")]),
    "carriage returns end lines": (b"data: a\rdata: b\r\r", [event("a\nb")]),
    "CRLF ends lines": (b"data: a\r\n\r\ndata: b\r\n\r\n", [event("a"), event("b")]),
    "a byte order mark is dropped": (b"\xef\xbb\xbfdata: a\n\n", [event("a")]),
    "UTF-8 of all lengths": ("data: é€🎬\n\n".encode(), [event("é€🎬")]),
    "unknown fields are ignored": (b"color: red\ndata: a\n\n", [event("a")]),
    "a colon in the data": (b"data: a:b: c\n\n", [event("a:b: c")]),
}


@pytest.mark.parametrize(("stream", "events"), CASES.values(), ids=CASES.keys())
def test_the_standards_rules_hold_under_every_split(
    node: Node, stream: bytes, events: list[dict[str, str]]
) -> None:
    assert parse(node, stream)["events"] == events
    assert parse(node, *(stream[at : at + 1] for at in range(len(stream))))["events"] == events
    for at in range(len(stream) + 1):
        assert parse(node, stream[:at], stream[at:])["events"] == events


def test_the_last_id_is_remembered_for_the_reconnection(node: Node) -> None:
    assert parse(node, b"id: 5\ndata: a\n\nid: 6\n\nid: 7\ndata: cut")["last"] == "6"


@pytest.mark.parametrize(("value", "kept"), [(b"2500", 2500), (b"-1", None), (b"1.5", None), (b"", None)])
def test_a_retry_time_is_taken_from_digits_only(node: Node, value: bytes, kept: int | None) -> None:
    assert parse(node, b"retry: " + value + b"\n")["retry"] == kept


@pytest.mark.parametrize("stream", [b"data: " + b"x" * (1 << 20), b"data: 12345678\n" * (1 << 18)])
def test_an_endless_event_is_refused(node: Node, stream: bytes) -> None:
    with pytest.raises(AssertionError, match="RangeError"):
        parse(node, stream)


def by_the_book(stream: str) -> list[dict[str, str]]:
    """HTML standard section 9.2.6, read literally over a whole stream: the judge of the fuzzed ones."""
    events, kind, data, number = [], "", "", ""
    for line in re.split(r"\r\n|\r|\n", stream.removeprefix("\ufeff"))[:-1]:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                events.append(event(data.removesuffix("\n"), kind or "message", number))
            kind, data = "", ""
        elif field == "data":
            data += value + "\n"
        elif field == "event":
            kind = value
        elif field == "id" and "\0" not in value:
            number = value
    return events


PIECES = st.sampled_from(
    [
        "data",
        "event",
        "id",
        "retry",
        ":",
        " ",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "data: é",
        "🎬",
        "\0",
        "\ufeff",
        "x",
        "7",
    ]
)


@settings(max_examples=300, deadline=None)  # a call is a line through a pipe to another process
@given(st.lists(PIECES, max_size=40).map("".join), st.lists(st.integers(0, 150), max_size=6))
def test_any_stream_is_read_as_by_the_book_whatever_the_split(
    node: Node, stream: str, cuts: list[int]
) -> None:
    encoded = stream.encode()
    edges = [0, *sorted(min(cut, len(encoded)) for cut in cuts), len(encoded)]
    pieces = [encoded[start:stop] for start, stop in pairwise(edges)]
    assert parse(node, *pieces)["events"] == by_the_book(stream)


FOLLOW = """(() => {
  globalThis.states = [];
  globalThis.fetch = async () => ({ status: x, ok: false });
  const leaving = new AbortController();
  globalThis.leave = () => leaving.abort();
  it.follow("/events", { onEvent() {}, onState: (state) => states.push(state), signal: leaving.signal })
    .then(() => states.push("over"));
})()"""


@pytest.mark.parametrize(
    ("status", "states"),
    [
        (401, ["refused", "over"]),
        (403, ["refused", "over"]),
        (404, ["gone", "over"]),
        (410, ["gone", "over"]),
        (502, ["lost"]),
    ],
)
def test_an_answer_that_will_stay_ends_it_and_another_is_a_broken_line(
    node: Node, status: int, states: list[str]
) -> None:
    node(FOLLOW, status)
    assert node("states") == states
    node("leave()")


UNSEEN = """(() => {
  globalThis.document = Object.assign(new EventTarget(), { hidden: false });
  globalThis.see = (seen) => {
    document.hidden = !seen;
    document.dispatchEvent(new Event("visibilitychange"));
  };
  globalThis.timers = [];
  globalThis.setTimeout = (run) => timers.push(run);
  globalThis.clearTimeout = (number) => delete timers[number - 1];
  globalThis.states = [];
  globalThis.asked = [];
  globalThis.reportError = (error) => states.push(error.name);
  globalThis.fetch = async (url, { headers, signal }) => {
    asked.push(headers["Last-Event-ID"] ?? "");
    const body = new ReadableStream({ start(stream) {
      stream.enqueue(new TextEncoder().encode("id: 7\\ndata: x\\n\\n"));
      signal.addEventListener("abort", () => stream.error(signal.reason));
    } });
    return { status: 200, ok: true, body };
  };
  globalThis.leaving = new AbortController();
  it.follow("/events", { onEvent() {}, onState: (state) => states.push(state), signal: leaving.signal });
})()"""


def test_a_page_that_nobody_sees_lets_go_of_its_line_and_goes_on_where_it_was(node: Node) -> None:
    node(UNSEEN)
    node("see(false)")
    node("see(true)")  # a glance at another tab costs nothing
    assert node("[asked, states]") == [[""], ["open"]]
    node("see(false)")
    node("timers.findLast(Boolean)()")
    assert node("[asked, states]") == [[""], ["open"]]
    node("see(true)")
    assert node("[asked, states]") == [["", "7"], ["open", "open"]]
    node("leaving.abort()")


def test_a_mistake_of_who_listens_is_reported_and_no_broken_line(node: Node) -> None:
    node(UNSEEN.replace("onEvent() {}", "onEvent() { null.x }"))
    node("null")
    assert node("states") == ["open", "TypeError"]
    node("leaving.abort()")
