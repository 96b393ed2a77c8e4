"""Heads taken apart and known again: pure, bytes in, a look-up out."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from media_service.server import repeats
from media_service.server.repeats import (
    BYTES_AT_ONCE,
    LIKELY_BYTES,
    MOST_HEAD_BYTES,
    MOST_HEADS,
    Part,
    Repeats,
    split,
)

NUMBER = b"0123456789abcdef" * 2
PLAIN = b"GET /media/a HTTP/1.1\r\nHost: h\r\nRange: bytes=0-99\r\nCookie: c\r\n\r\n"

# Lines of which heads are made: few, so that two of them are often nearly the same.
LINES = st.sampled_from(
    [
        b"Host: h",
        b"Cookie: c",
        b"Cookie: d",
        b"Range: bytes=0-99",
        b"Range: bytes=7-",
        b"range: bytes=5-6",
        b"RANGE: bytes=0-1",
        b"Range:bytes=0-1",
        b"Range: bytes=0-1, 3-4",
        b"Range: bytes=-5",
        b"X: Range: bytes=0-1",
        b"X-Request-ID: " + NUMBER,
        b"X-Request-ID: " + NUMBER[::-1],
        b"X-Request-ID: mine",
        b"x-request-id: " + NUMBER,
        b" Range: bytes=0-1",
        b"",
    ]
)
FIRST = st.sampled_from(
    [
        b"GET /media/a HTTP/1.1",
        b"GET /media/b HTTP/1.1",
        b"GET /media/a HTTP/1.0",
        b"HEAD /media/a HTTP/1.1",
    ]
)
HEADS = st.builds(
    lambda first, lines: b"\r\n".join([first, *lines, b"", b""]), FIRST, st.lists(LINES, max_size=6)
)


class Known:
    """Something that an application may know."""

    def part(self, wanted: str) -> Part | None:
        raise NotImplementedError

    def hold(self) -> AbstractAsyncContextManager[object]:
        raise NotImplementedError


def head(*lines: bytes, first: bytes = b"GET /media/a HTTP/1.1") -> bytes:
    return b"\r\n".join([first, *lines, b"", b""])


def nothing(_: object) -> None:
    """In place of a loop, where nothing is answered."""


def knowing() -> Repeats:
    return Repeats(lambda scope, wanted: Known(), nothing)


def apart(read: bytes) -> repeats.Split:
    found = split(read)
    assert found is not None
    return found


def again(read: bytes) -> bool:
    """Whether that head is known when PLAIN is."""
    known = knowing()
    known.learn(apart(PLAIN), {})
    found = split(read)
    return found is not None and known.get(found) is not None


def meaning(read: bytes, wanted: bytes) -> tuple[bytes, list[bytes]]:
    """The request, but for the range that is taken out of it once, the spelling of that name, and nginx's number."""
    first, *lines = read.split(b"\r\n")
    kept = [line for line in lines if not line.startswith(b"X-Request-ID: ")]
    kept.remove(
        next(line for line in kept if line in {b"Range: " + wanted, b"range: " + wanted})
    )  # raises when there is none
    return first, kept


def test_a_head_is_its_rest_and_its_range() -> None:
    rest, _, wanted = apart(PLAIN)
    assert rest == b"GET /media/a HTTP/1.1\r\nHost: h\r\nCookie: c\r\n\r\n"
    assert wanted == b"bytes=0-99"


@given(HEADS)
@example(PLAIN)
@example(head(b"X-Request-ID: " + NUMBER, b"X-Request-ID: mine", b"range: bytes=0-1"))
def test_what_was_taken_apart_can_be_put_together_again(read: bytes) -> None:
    if (found := split(read)) is None:
        return
    rest, (at, numbered), wanted = found
    numbers = {b"", *re.findall(rb"\r\nX-Request-ID: [0-9a-f]{32}(?=\r\n)", read)}
    with_number = [rest[:numbered] + number + rest[numbered:] if number else rest for number in numbers]
    together = {
        one[:at] + name + wanted + one[at:]
        for one in with_number
        for name in (b"\r\nRange: ", b"\r\nrange: ")
    }
    assert read in together


@given(st.binary(max_size=80), st.integers(0, 80))
def test_nothing_is_made_up_or_lost_of_bytes_of_any_kind(junk: bytes, at: int) -> None:
    read = b"GET /" + junk[:at] + b"\r\nRange: bytes=4-5\r\n" + junk[at:] + b"\r\n\r\n"
    found = split(read)
    if read.index(b"\r\n\r\n") != len(read) - 4:
        assert found is None
    elif b"X-Request-ID" not in junk and read.lower().count(b"range: ") == 1:
        assert found is not None
        rest, (place, _), wanted = found
        assert rest[:place] + b"\r\nRange: " + wanted + rest[place:] == read


@given(HEADS, HEADS)
def test_two_heads_are_the_same_only_when_they_mean_the_same(one: bytes, other: bytes) -> None:
    first, second = split(one), split(other)
    if first is not None and second is not None and first[:2] == second[:2]:
        assert meaning(one, first[2]) == meaning(other, second[2])


@given(HEADS, st.integers(0, 10**19 - 1), st.one_of(st.just(b""), st.integers(0, 10**19 - 1)))
def test_another_range_is_the_same_head(read: bytes, start: int, stop: int | bytes) -> None:
    if (found := split(read)) is None:
        return
    wanted = b"bytes=%d-%b" % (start, stop if isinstance(stop, bytes) else b"%d" % stop)
    at = found[1][0]
    changed = read[:at] + read[at:].replace(found[2], wanted, 1)
    assert split(changed) == (found[0], found[1], wanted)


@pytest.mark.parametrize(
    "read",
    [
        head(b"Host: h", b"Range: bytes=5-6", b"Cookie: c"),
        head(b"Host: h", b"Range: bytes=5-", b"Cookie: c"),
        head(b"Host: h", b"range: bytes=5-", b"Cookie: c"),  # names have no case (RFC 9110 s5.1)
        head(
            b"Host: h", b"Range: bytes=9-5", b"Cookie: c"
        ),  # that there is no such range the application says
    ],
)
def test_it_is_known_again_with_another_range(read: bytes) -> None:
    assert again(read)


@pytest.mark.parametrize(
    "read",
    [
        # of one byte else
        head(b"Host: h", b"Range: bytes=0-99", b"Cookie: d"),
        head(b"Host: h", b"Range: bytes=0-99", b"cookie: c"),
        head(b"Host: h", b"Range: bytes=0-99", b"Cookie: c", b"Cookie: c"),
        head(b"Host: h", b"Range: bytes=0-99"),
        head(b"Host: h", b"Range: bytes=0-99", b"Cookie: c", first=b"GET /media/b HTTP/1.1"),
        head(b"Host: h", b"Range: bytes=0-99", b"Cookie: c", first=b"GET /media/a HTTP/1.0"),
        head(b"Host: h", b"Range: bytes=0-99", b"Cookie: c", first=b"GET  /media/a HTTP/1.1"),
        # with its range elsewhere
        head(b"Range: bytes=0-99", b"Host: h", b"Cookie: c"),
        head(b"Host: h", b"Cookie: c", b"Range: bytes=0-99"),
        # with more ranges, folded, in another spelling
        head(b"Host: h", b"Range: bytes=0-99", b"Range: bytes=0-99", b"Cookie: c"),
        head(b"Host: h", b"Range: bytes=0-99", b"Cookie: c", b"Range: bytes=1-2"),
        head(b"Host: h", b"Range: bytes=0-99", b"Cookie: c", b"range: bytes=1-2"),
        head(b"Host: h", b"Range: bytes=0-99", b" , 5-6", b"Cookie: c"),
        head(b"Host: h", b" Range: bytes=0-99", b"Cookie: c"),
        head(b"Host: h", b"RANGE: bytes=0-99", b"Cookie: c"),
        # another method, or none of our forms
        head(b"Host: h", b"Range: bytes=0-99", b"Cookie: c", first=b"HEAD /media/a HTTP/1.1"),
        head(b"Host: h", b"Range: bytes=0-99", b"Cookie: c", first=b"POST /media/a HTTP/1.1"),
        b"\r\n" + PLAIN,
        b" " + PLAIN,
    ],
)
def test_it_is_not_another_one(read: bytes) -> None:
    assert again(PLAIN)
    assert not again(read)


@pytest.mark.parametrize(
    "value",
    [
        b"bytes=-5",
        b"bytes=-",
        b"bytes=",
        b"bytes=0-1,3-4",
        b"bytes=0-1, 3-4",
        b"bytes=0-1 ",
        b" bytes=0-1",
        b"bytes=0 -1",
        b"bytes=+1-2",
        b"bytes=0x1-2",
        b"bytes=\xb2-3",
        b"Bytes=0-1",
        b"items=0-1",
        b"bytes=0-1\t",
        b"bytes=0-1\n",
        b"bytes=0-1\r",
        b"bytes=0-1\0",
        b"bytes=" + b"1" * 20 + b"-",
        b"bytes=0-" + b"1" * 20,
    ],
)
def test_a_range_that_is_not_plain_is_parsed(value: bytes) -> None:
    assert split(head(b"Host: h", b"Range: " + value)) is None


@pytest.mark.parametrize(
    "read",
    [
        b"",
        b"\r\n",
        b"\r\n\r\n",
        PLAIN + PLAIN,
        PLAIN + b"G",
        PLAIN + b"\r\n",
        PLAIN + b"\r\n\r\n",
        PLAIN + b"abc",
        PLAIN + b"\r\nRange: bytes=0-1\r\n\r\n",
        head(b"Host: h") + b"\r\nRange: bytes=0-1\r\n\r\n",
        head(b"Host: h"),
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"\r\n\r\n", b"\n\n"),
        b"GET http://h/media/a HTTP/1.1\r\nRange: bytes=0-1\r\n\r\n",
        b"GET /media/a\r\nrAnge: bytes=0-1\r\n\r\n",
    ],
)
def test_what_is_not_one_head_is_parsed(read: bytes) -> None:
    assert split(read) is None


def test_a_head_in_pieces_is_parsed() -> None:
    for at in range(1, len(PLAIN)):
        assert split(PLAIN[:at]) is None
        assert split(PLAIN[at:]) is None


def test_a_head_that_is_long_is_parsed() -> None:
    short = head(b"Range: bytes=0-1", b"X: ")
    longest = head(b"Range: bytes=0-1", b"X: " + b"x" * (MOST_HEAD_BYTES - len(short)))
    assert len(longest) == MOST_HEAD_BYTES
    assert split(longest) is not None
    assert split(longest.replace(b"X: ", b"X: x")) is None


def test_a_number_of_nginxs_is_no_difference() -> None:
    def numbered(number: bytes, *more: bytes) -> bytes:
        return head(b"Host: h", b"X-Request-ID: " + number, b"Range: bytes=0-1", *more)

    known = knowing()
    known.learn(apart(numbered(NUMBER)), {})
    assert known.get(apart(numbered(NUMBER[::-1]))) is not None
    for other in (
        numbered(NUMBER.upper()),
        numbered(NUMBER + b"0"),
        numbered(NUMBER[1:]),
        numbered(NUMBER, b"Cookie: c"),
        head(b"Host: h", b"Range: bytes=0-1"),
        head(b"X-Request-ID: " + NUMBER, b"Host: h", b"Range: bytes=0-1"),
        head(b"Host: h", b"Range: bytes=0-1", b"Y: \r\nX-Request-ID: " + NUMBER),
    ):
        assert known.get(apart(other)) is None


def test_the_application_is_asked_once_and_what_it_does_not_know_is_not_kept() -> None:
    asked: list[tuple[Any, bytes]] = []

    def repeatable(scope: Any, wanted: bytes) -> Known | None:
        asked.append((scope, wanted))
        return Known() if scope == "known" else None

    known = Repeats(repeatable, nothing)
    known.learn(apart(PLAIN), "unknown")
    assert (len(known), known.get(apart(PLAIN))) == (0, None)
    known.learn(apart(PLAIN), "known")
    assert len(known) == 1
    assert known.get(apart(PLAIN)) is not None
    assert asked == [("unknown", b"bytes=0-99"), ("known", b"bytes=0-99")]


def test_heads_that_are_made_up_do_not_fill_the_memory() -> None:
    known = knowing()
    for number in range(MOST_HEADS + 10):
        known.learn(apart(head(b"Cookie: %d" % number, b"Range: bytes=0-1")), {})
        assert len(known) <= MOST_HEADS
    assert known.get(apart(head(b"Cookie: %d" % (MOST_HEADS + 9), b"Range: bytes=8-9"))) is not None


class Asking:
    """A connection that notes what it is told: its answer has `size` bytes (None: it has none), of which it takes `taken`."""

    def __init__(self, told: list[str], name: str, size: int | None, taken: int | None = None) -> None:
        self._told = told
        self._name = name
        self._size = size
        self._taken = taken

    def part(self, repeat: repeats.Repeat, wanted: bytes) -> Part | None:
        return None if self._size is None else ((), wanted, 3, 0, self._size, Known().hold)

    def answer(self, part: Part) -> int:
        self._told.append(self._name)
        return part[4] if self._taken is None else self._taken

    def parse(self, data: bytes) -> None:
        self._told.append(f"{self._name} parses {data.decode()}")


class Turns:
    """Some who ask, and the turns of a loop in which they are answered."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.repeats = Repeats(lambda scope, wanted: Known(), self.soon.append)
        self.told: list[str] = []

    def ask(self, name: str, size: int | None, taken: int | None = None) -> Asking:
        asking = Asking(self.told, name, size, taken)
        self.repeats.ask(asking, Known(), f"read {name}".encode(), b"bytes=0-1")
        return asking

    def seen(self) -> list[str]:
        """What was told in each turn until nothing is left to do."""
        seen = []
        while self.soon:
            [turn] = self.soon
            self.soon.clear()
            turn()
            seen.append(", ".join(self.told))
            self.told.clear()
        return seen


@pytest.mark.parametrize(
    ("sizes", "turns"),
    [
        ([10, None, 10], ["0, 2, 1 parses read 1"]),
        ([BYTES_AT_ONCE // 16] * 17, [", ".join(map(str, range(16))), "16"]),
        ([None] * 9, [", ".join(f"{n} parses read {n}" for n in range(8)), "8 parses read 8"]),
        ([LIKELY_BYTES] * 5, ["0, 1", "2, 3", "4"]),
        ([5 * BYTES_AT_ONCE] * 3, ["0, 1", "2"]),  # before anybody knows what they take
    ],
)
def test_one_turn_of_the_loop_answers_so_much_and_the_next_ones_the_rest(
    sizes: list[int | None], turns: list[str]
) -> None:
    made = Turns()
    for number, size in enumerate(sizes):
        made.ask(str(number), size)
    assert made.seen() == turns


def test_what_counts_is_what_is_sent_of_a_range() -> None:
    made = Turns()
    for number in range(20):
        made.ask(str(number), 5 * BYTES_AT_ONCE, taken=BYTES_AT_ONCE // 16)
    assert [turn.count(",") + 1 for turn in made.seen()] == [16, 4]
    for number in range(20):
        made.ask(str(number), 5 * BYTES_AT_ONCE, taken=0)  # they have gone
    assert [turn.count(",") + 1 for turn in made.seen()] == [20]


def test_who_asks_while_others_wait_for_the_next_turn_is_answered_behind_them() -> None:
    made = Turns()
    for name in "abc":
        made.ask(name, LIKELY_BYTES)
    made.soon.pop(0)()
    made.ask("x", 1)
    assert made.seen() == ["a, b, c, x"]


def test_one_may_be_answered_at_once_and_the_others_have_their_turns() -> None:
    made = Turns()
    first, second, unknown, *_ = (made.ask(str(n), None if n == 2 else BYTES_AT_ONCE // 4) for n in range(6))
    for asking in (second, unknown, first, second):
        made.repeats.answer_now(asking)
    assert made.told == ["1", "2 parses read 2", "0"]
    made.told.clear()
    assert made.seen() == ["3, 4, 5"]
    made.repeats.answer_now(made.ask("alone", 1))
    assert made.seen() == ["alone"]
    assert made.seen() == []


def test_who_has_gone_is_not_answered() -> None:
    made = Turns()
    asking = [made.ask(name, 1) for name in "abc"]
    for gone in (asking[1], asking[1], Asking(made.told, "nobody", 1)):
        made.repeats.forget(gone)
    assert made.seen() == ["a, c"]
