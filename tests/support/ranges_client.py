"""Viewers that ask for random ranges in every way that a connection can be used, and hold each byte against the film.

What they check: each answer on a connection is the one to the request in its place, whole, and of the right bytes (SHA-256);
of a connection that was left, what came is how the answers begin. The bytes of a film are random: a byte of another place, or of
another viewer's film, cannot look right.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from tests.support.raw_http import Head, RawConnection

LONG_BYTES = 64 << 10  # from here on a range may come from the file itself (media_service/web/send.py)
MOST_BYTES = 1 << 20  # of a range; they are as often below 1 KiB as above: most trouble is at the edges
ABANDONED_BYTES = 8 << 20
MOST_PIPELINED = 12
SMALL_WINDOW = 16 << 10
VIEWERS = 12


@dataclass(frozen=True)
class Known:
    """A body of which every byte is known: what the answers are held against."""

    address: str
    content: bytes
    etag: str
    media_type: str

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.content)

    @cached_property
    def tags(self) -> dict[str, str]:
        """Headers that come with any answer that carries it."""
        return {"etag": self.etag, "accept-ranges": "bytes"}


@dataclass(frozen=True)
class Question:
    """A request, and what must come of it. `spans`: of `known`, one after another; None: the body is not known."""

    method: str
    target: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    known: Known | None = None
    spans: tuple[tuple[int, int], ...] = ()

    @property
    def request(self) -> bytes:
        """As it goes out."""
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    def size(self, head: Head) -> int:
        """How many bytes follow that head (RFC 9112 s6.3)."""
        bodiless = self.method == "HEAD" or head.status in {204, 304}
        return 0 if bodiless else int(head.headers["content-length"])

    def expected(self, head: Head) -> bytes:
        """The body that goes with that head. Only where `known` is."""
        assert self.known is not None
        cut = [self.known.content[start:stop] for start, stop in self.spans]
        if self.method == "HEAD" or len(cut) < 2:
            return b"" if self.method == "HEAD" or not cut else cut[0]
        boundary = head.headers["content-type"].removeprefix("multipart/byteranges; boundary=")
        parts = [
            f"--{boundary}\r\nContent-Type: {self.known.media_type}\r\n"
            f"Content-Range: bytes {start}-{stop - 1}/{self.known.size}\r\n\r\n".encode()
            + self.known.content[start:stop]
            for start, stop in self.spans
        ]
        return b"\r\n".join((*parts, f"--{boundary}--\r\n".encode()))

    def check_head(self, head: Head) -> None:
        """Status, and of a body that is known its headers."""
        assert head.status == self.status, f"{self}: {head}"
        if self.known is None:
            return
        told = {name: head.headers.get(name) for name in self.known.tags}
        assert told == self.known.tags, f"{self}: {head}"
        if self.method == "HEAD" or self.status == 200:
            assert int(head.headers["content-length"]) == self.known.size, f"{self}: {head}"
        elif len(self.spans) == 1:
            start, stop = self.spans[0]
            assert head.headers["content-range"] == f"bytes {start}-{stop - 1}/{self.known.size}", str(self)
            assert int(head.headers["content-length"]) == stop - start, f"{self}: {head}"

    def check(self, head: Head, body: bytes) -> None:
        """The whole answer."""
        self.check_head(head)
        assert len(body) == self.size(head), f"{self}: cut after {len(body)} bytes"
        if self.known is not None:
            expected = self.expected(head)
            same = sha256(body).digest() == sha256(expected).digest()
            assert same, f"{self}: wrong at {first_difference(body, expected)} of {len(expected)}"

    def __str__(self) -> str:
        return f"{self.method} {self.target} {self.headers}"


def unmistakable(film: bytes, size: int, seed: int) -> bytes:
    """The film with a box at its end that nobody looks into; no two places of it are alike."""
    rest = size - len(film)
    return film + rest.to_bytes(4) + b"free" + random.Random(seed).randbytes(rest - 8)


def first_difference(one: bytes, other: bytes) -> int:
    """Where two bodies begin to differ; the shorter one's end when that is how it begins."""
    return next(
        (place for place, (mine, yours) in enumerate(zip(one, other, strict=False)) if mine != yours),
        min(len(one), len(other)),
    )


def range_of(known: Known, dice: random.Random, most: int = MOST_BYTES) -> Question:
    """One range, as a player asks for it."""
    size = min(known.size, int(2 ** dice.uniform(0, most.bit_length() - 1)))
    start = dice.choice([0, known.size - size, *(dice.randrange(known.size - size + 1) for _ in range(6))])
    value = f"bytes={start}-{start + size - 1}"
    if start + size == known.size:
        value = dice.choice([value, f"bytes=-{size}", f"bytes={start}-", f"bytes={start}-{1 << 60}"])
    headers = {"Range": value} | ({"If-Range": known.etag} if dice.random() < 0.1 else {})
    return Question("GET", known.address, 206, headers, known, ((start, start + size),))


def next_of(known: Known, dice: random.Random, headers: dict[str, str]) -> Question:
    """One range among many of the same film, as a player asks that has begun: mostly long, the rest of the head the same."""
    least = min(known.size, LONG_BYTES if dice.random() < 0.8 else 1)
    size = dice.randint(least, max(least, min(known.size, MOST_BYTES)))
    start = dice.randrange(known.size - size + 1)
    last = "" if start + size == known.size and dice.random() < 0.5 else str(start + size - 1)
    ranged = {**headers, "Range": f"bytes={start}-{last}"}
    return Question("GET", known.address, 206, ranged, known, ((start, start + size),))


def ranges_of(known: Known, dice: random.Random) -> Question:
    """Several ranges in one answer."""
    edges = sorted({dice.randrange(known.size) for _ in range(8)})
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    spans = [(start, min(stop, start + 10_000)) for start, stop in pairs]
    if len(spans) < 2:
        return range_of(known, dice)
    value = "bytes=" + ",".join(f"{start}-{stop - 1}" for start, stop in spans)
    return Question("GET", known.address, 206, {"Range": value}, known, tuple(spans))


def aside(known: Known, dice: random.Random) -> Question:
    """What is asked for beside ranges, and has its own answer or no body at all."""
    nothing: tuple[tuple[int, int], ...] = ()
    return dice.choice(
        [
            Question("HEAD", known.address, 200, {"Range": "bytes=0-1"}, known, nothing),
            Question("GET", known.address, 304, {"If-None-Match": known.etag}),
            Question("GET", known.address, 416, {"Range": f"bytes={known.size}-"}),
            Question("GET", known.address, 412, {"If-Match": '"other"', "Range": "bytes=0-1"}),
            Question("GET", f"{known.address.partition('?')[0]}.none", 404),
            Question("GET", "/livez", 200),
            Question("POST", "/livez", 405, {"Content-Length": "0"}),
            Question("GET", "/api/v1/assets", 401),
        ]
    )


@dataclass
class Seen:
    """What viewers have seen, all of it right."""

    ranges: int = 0
    bytes: int = 0
    ways: Counter[str] = field(default_factory=Counter)
    ended: int = 0  # connections, by the service

    def __add__(self, other: Seen) -> Seen:
        return Seen(
            self.ranges + other.ranges,
            self.bytes + other.bytes,
            self.ways + other.ways,
            self.ended + other.ended,
        )


class Viewer:
    """One who looks at ranges of the bodies, a connection after another, until he has seen `ranges` of them whole.

    `may_end`: the service may end a connection with any answer that says so; what was asked for behind that is lost.
    """

    def __init__(self, port: int, bodies: Sequence[Known], seed: int, *, may_end: bool = False) -> None:
        self._port = port
        self._may_end = may_end
        self._bodies = bodies
        self._dice = random.Random(seed)
        self.seen = Seen()

    def watch(self, ranges: int) -> Seen:
        """Raises AssertionError when a byte is wrong, is missing, or is one too many; TimeoutError when none comes."""
        ways: list[Callable[[], None]] = [self.keeps_alive] * 4 + [self.pipelines] * 4
        ways += [self.plays] * 3
        ways += [
            self.trickles,
            self.lingers,
            self.leaves,
            self.leaves,
            self.leaves_a_pipeline,
            self.turns_away,
        ]
        while self.seen.ranges < ranges:
            way = self._dice.choice(ways)
            try:
                way()
            except ConnectionError:
                if not self._may_end:
                    raise
                self.seen.ended += 1
            self.seen.ways[way.__name__] += 1
        return self.seen

    def keeps_alive(self) -> None:
        """One question after another."""
        with self._connected() as line:
            for question in self._questions(self._dice.randint(2, 30)):
                line.send(question.request)
                self._answered(line, question)

    def pipelines(self) -> None:
        """Several at once, their heads cut anywhere."""
        with self._connected() as line:
            for _ in range(self._dice.randint(1, 4)):
                questions = self._questions(self._dice.randint(2, MOST_PIPELINED))
                data = b"".join(question.request for question in questions)
                middle = self._dice.randrange(len(data))
                line.send(data[:middle])
                line.send(data[middle:])
                for question in questions:
                    self._answered(line, question)

    def plays(self) -> None:
        """Range after range of one film with the same head, now and then a few without waiting; and leaves amid one or not."""
        with self._connected(self._dice.choice([None, None, SMALL_WINDOW])) as line:
            known = max(self._dice.choices(self._bodies, k=2), key=lambda body: body.size)
            headers = self._dice.choice([{}, {"If-Range": known.etag}, {"User-Agent": "player"}])
            for _ in range(self._dice.randint(2, 10)):
                questions = [
                    next_of(known, self._dice, headers) for _ in range(self._dice.choice([1, 1, 1, 2, 3]))
                ]
                for question in questions:
                    line.send(question.request)
                for question in questions:
                    self._answered(line, question)
            if self._dice.random() < 0.5:
                question = next_of(known, self._dice, headers)
                line.send(question.request)
                self._begun(line, question)
                self._gone(line)

    def trickles(self) -> None:
        """The next question comes, a few bytes at a time, while the last one is being answered."""
        with self._connected(SMALL_WINDOW) as line:
            questions = self._questions(4)
            line.send(questions[0].request)
            for question, following in zip(questions, [*questions[1:], None], strict=True):
                for byte in following.request[:20] if following else b"":
                    line.send(bytes([byte]))
                head = line.head()
                if following:
                    line.send(following.request[20:])
                self._complete(question, head, line.body(question.size(head)))

    def lingers(self) -> None:
        """Takes what comes in small bites through a small window: the service always has to wait."""
        with self._connected(SMALL_WINDOW) as line:
            for question in self._questions(2):
                line.send(question.request)
                head = line.head()
                size = question.size(head)
                body = bytearray()
                while len(body) < size and (bite := line.body(min(9973, size - len(body)))):
                    body += bite
                self._complete(question, head, bytes(body))

    def leaves(self) -> None:
        """A seek: all that follows is asked for, some of it is taken."""
        with self._connected(self._dice.choice([None, SMALL_WINDOW])) as line:
            for question in self._questions(self._dice.choice([0, 0, 1, 3])):
                line.send(question.request)
                self._answered(line, question)
            question = range_of(self._dice.choice(self._bodies), self._dice, ABANDONED_BYTES)
            line.send(question.request)
            self._begun(line, question)
            self._gone(line)

    def leaves_a_pipeline(self) -> None:
        """Several are asked for, only the first ones are waited for."""
        with self._connected() as line:
            questions = self._questions(self._dice.randint(2, MOST_PIPELINED))
            line.send(b"".join(question.request for question in questions))
            stays = self._dice.randrange(len(questions))
            for question in questions[:stays]:
                self._answered(line, question)
            if self._dice.random() < 0.7:
                self._begun(line, questions[stays])
            self._gone(line)

    def turns_away(self) -> None:
        """Says that there will be no more questions, and listens: what comes is how the answers begin."""
        with self._connected() as line:
            questions = self._questions(self._dice.randint(1, 4))
            line.send(b"".join(question.request for question in questions))
            line.half_close()
            check_beginning(line.rest(), questions)

    def _connected(self, receive_buffer: int | None = None) -> RawConnection:
        return RawConnection(self._port, receive_buffer=receive_buffer)

    def _questions(self, count: int) -> list[Question]:
        kinds = self._dice.choices((range_of, ranges_of, aside), (80, 5, 15), k=count)
        return [kind(self._dice.choice(self._bodies), self._dice) for kind in kinds]

    def _answered(self, line: RawConnection, question: Question) -> None:
        head = line.head()
        self._complete(question, head, line.body(question.size(head)))

    def _complete(self, question: Question, head: Head, body: bytes) -> None:
        if self._may_end and question.known is not None and len(body) < question.size(head):
            assert body == question.expected(head)[: len(body)], f"{question}: wrong before it was cut"
            raise ConnectionError(f"cut: {question}")
        question.check(head, body)
        self.seen.ranges += "Range" in question.headers and question.status == 206
        self.seen.bytes += len(body)
        if self._may_end and head.headers.get("connection") == "close":
            raise ConnectionError("this was the last one")

    def _begun(self, line: RawConnection, question: Question) -> None:
        """Take nothing, a byte or some of what comes."""
        if self._dice.random() < 0.2:
            return
        head = line.head()
        question.check_head(head)
        body = line.body(min(question.size(head), self._dice.choice([0, 1, 1000, 300_000])))
        if question.known is not None:
            assert body == question.expected(head)[: len(body)], f"{question}: wrong before it was left"

    def _gone(self, line: RawConnection) -> None:
        """One way to leave: with FIN or RST (unread bytes make an RST of both), or with FIN while still reading a little."""
        match self._dice.choice(["close", "reset", "half"]):
            case "reset":
                line.reset()
            case "half":
                line.half_close()
                line.body(1)


def check_beginning(data: bytes, questions: Sequence[Question]) -> None:
    """`data` is how the answers to `questions` begin, as far as it goes: whole ones, then the beginning of one."""
    for question in questions:
        raw, ends, rest = data.partition(b"\r\n\r\n")
        if not ends:
            assert not raw or b"HTTP/1.1 "[: len(raw)] == raw[:9], f"{question}: {raw[:200]!r}"
            return
        head = Head.parsed(raw)
        question.check_head(head)
        size = question.size(head)
        if question.known is not None:
            begins = question.expected(head)[: len(rest)]
            assert rest[: len(begins)] == begins, f"{question}: wrong at {first_difference(rest, begins)}"
        if len(rest) < size:
            return
        data = rest[size:]
    assert not data, f"behind the last answer: {data[:200]!r}"


def crowd(
    port: int,
    bodies: Sequence[Known],
    ranges: int,
    *,
    seed: int,
    viewers: int = VIEWERS,
    may_end: bool = False,
) -> Seen:
    """Many viewers at once, until they have seen `ranges` ranges together. Raises what the first of them raises."""
    share = -(-ranges // viewers)
    with ThreadPoolExecutor(viewers) as pool:
        watching = [
            pool.submit(Viewer(port, bodies, seed + number, may_end=may_end).watch, share)
            for number in range(viewers)
        ]
        return sum((one.result() for one in watching), Seen())


def timed(work: Callable[[], Seen]) -> tuple[Seen, float]:
    """What was seen, and in how many seconds."""
    began = time.monotonic()
    return work(), time.monotonic() - began
