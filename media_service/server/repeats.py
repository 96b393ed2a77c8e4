"""Requests that come again with another range: known by their heads, and answered without parsing them anew.

A player that seeks, and whoever plays, sends one and the same head again and again, in which nothing but the numbers of its
Range differ. To parse it, to describe it to the application and to begin a coroutine for it costs more than to send the
bytes. So a head that was parsed once is kept, without its Range, beside what the application says about it (`Repeat`); the
next one that is the same to the byte, at whatever connection, is a look-up.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

# Bounded, as anybody can make them up: 4096 viewers, each of whom sends something of his own (a token, a cookie).
MOST_HEADS = 4096
MOST_HEAD_BYTES = 2048
# What is sent of all repeats in one turn of the loop, give or take a few: most of a millisecond. So long nobody is accepted
# (libuv takes one connection a turn), and nobody else is answered. What is parsed when it is read is not counted.
BYTES_AT_ONCE = 2 << 20
# What one may take of its range, before it is known what it does: many ask for all to the end of the film, and get a piece of it.
LIKELY_BYTES = 1 << 20
# What one is counted for that the application is asked about: what a connection takes that has not grown.
PARSED_BYTES = 256 << 10
# The spelling of browsers and of most libraries; another one is parsed each time. The value is of a form that cannot be read in
# two ways; whether there is such a range the application says.
_NAMES = b"\r\nRange: ", b"\r\nrange: "
_WANTED = re.compile(rb"bytes=[0-9]{1,19}-[0-9]{0,19}(?=\r\n)")

# nginx gives each request a number of its own (k8s/nginx.conf), for the log of what goes wrong. Here nothing does.
_NUMBERED = b"\r\nX-Request-ID: "
_NUMBER = re.compile(rb"[0-9a-f]{32}(?=\r\n)")

Header = tuple[bytes, bytes]
# What holds a file open until the block is left.
Hold = Callable[[], AbstractAsyncContextManager[object]]
# The headers of this answer, with Content-Length; all other lines of its head, each with its end; the file, offset and number
# of bytes of its body; and what holds the file from the call on. No class: one is made for each response.
Part = tuple[tuple[Header, ...], bytes, int, int, int, Hold]
# A head without the lines of its Range and its number; where these stood (the rest may be the same with a line elsewhere);
# and the value of Range.
Split = tuple[bytes, tuple[int, int], bytes]


class Repeat(Protocol):
    """What an application knows of a GET that differs from others in the value of Range only."""

    def part(self, wanted: str) -> Part | None:
        """The 206 to the request with that Range; None when the application must be asked as for all others.

        The file stays open until the application is asked something else, or as long as it is held.
        """


class Repeatable(Protocol):
    """What an application has, as `repeatable`, that knows of such."""

    def __call__(self, scope: Any, wanted: bytes) -> Repeat | None:
        """Of the GET in `scope`, whose head has that Range in it."""


class Connection(Protocol):
    """Who is asked again."""

    def part(self, repeat: Repeat, wanted: bytes) -> Part | None:
        """What it is answered with; None when the application is to be asked. Raises nothing, as all of these."""

    def answer(self, part: Part) -> int:
        """Send that, as far as it goes now: so many bytes."""

    def parse(self, data: bytes) -> None:
        """Have `data` answered in the ordinary way."""


def split(read: bytes) -> Split | None:
    """What was read, if it may be one head of a GET for one plain range and nothing else."""
    if not read.startswith(b"GET /") or len(read) > MOST_HEAD_BYTES:
        return None
    for name in _NAMES:
        if (at := read.find(name)) > 0:
            break
    else:
        return None
    found = _WANTED.match(read, at + len(name))
    if found is None or read.find(b"\r\n\r\n") != len(read) - 4:
        return None
    rest = read[:at] + read[found.end() :]
    numbered = rest.find(_NUMBERED)
    if numbered > 0 and (number := _NUMBER.match(rest, numbered + len(_NUMBERED))) is not None:
        rest = rest[:numbered] + rest[number.end() :]
    return rest, (at, numbered), found[0]


class Repeats:
    """The heads that were parsed before and what the application knows of them."""

    def __init__(self, repeatable: Repeatable, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._repeatable = repeatable
        self._call_soon = call_soon
        # Who waits for an answer, with what is known of it, what was read and the value of its Range: the first one first.
        self._asked: dict[Connection, tuple[Repeat, bytes, bytes]] = {}
        self._is_due = False  # `_answer` is called in the next turn of the loop
        self._known: dict[bytes, tuple[tuple[int, int], Repeat]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, head: Split) -> Repeat | None:
        """What is known of it."""
        known = self._known.get(head[0])
        return known[1] if known is not None and known[0] == head[1] else None

    def learn(self, head: Split, scope: Any) -> None:
        """Ask the application about a head that was parsed into `scope`."""
        rest, at, wanted = head
        if (repeat := self._repeatable(scope, wanted)) is not None:
            if len(self._known) >= MOST_HEADS:
                self._known.clear()
            self._known[rest] = at, repeat

    def ask(self, connection: Connection, repeat: Repeat, read: bytes, wanted: bytes) -> None:
        """Have it answered behind those who wait, in this turn of the loop or in one of the next."""
        self._asked[connection] = repeat, read, wanted
        self._go_on()

    def answer_now(self, connection: Connection) -> None:
        """Answer that one, if it waits, before all others."""
        if (asked := self._asked.pop(connection, None)) is not None:
            repeat, read, wanted = asked
            part = connection.part(repeat, wanted)
            if part is None:
                connection.parse(read)
            else:
                connection.answer(part)

    def forget(self, connection: Connection) -> None:
        """It has gone."""
        self._asked.pop(connection, None)

    def _go_on(self) -> None:
        if self._asked and not self._is_due:
            self._is_due = True
            self._call_soon(self._answer)

    def _answer(self) -> None:
        """Answer those that wait, one after the other without anything in between, as far as this turn of the loop goes.

        A client is woken by the first bytes that it gets and not by those that follow while it is awake. To wake somebody for
        each answer costs a third of it.
        """
        self._is_due = False
        room = BYTES_AT_ONCE
        left: list[tuple[Connection, bytes]] = []
        while room > 0 and self._asked:
            for connection, part, read in self._some(room):
                if part is not None:
                    room -= connection.answer(part)
                else:
                    left.append((connection, read))
                    room -= PARSED_BYTES
        self._go_on()
        # Not before all others have their files, as the application may close one.
        for connection, read in left:
            connection.parse(read)

    def _some(self, room: int) -> list[tuple[Connection, Part | None, bytes]]:
        """The first of those that wait, as many as there is likely room for; they wait no more."""
        some = []
        for connection, (repeat, read, wanted) in self._asked.items():
            part = connection.part(repeat, wanted)
            some.append((connection, part, read))
            room -= PARSED_BYTES if part is None else min(part[4], LIKELY_BYTES)
            if room <= 0:
                break
        for connection, _, _ in some:
            del self._asked[connection]
        return some
