"""Where a server may answer without asking the application, it says to the byte what the application would have said."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar

from media_service.playback.opened import OpenedRepresentations
from media_service.store.shared_blobs import IDLE_SWEEPS
from media_service.web.repeats import Part, Repeat
from media_service.web.send import FILE_BYTES, ZERO_COPY
from media_service.web.shortcut import Shortcut
from media_service.wire.delivery import Answers
from media_service.wire.representation import Representation
from tests.support.asking import (
    ORIGIN,
    TOKEN,
    Answer,
    Header,
    Made,
    ask,
    ask_for_kinds,
    lines_of,
    opened_app,
    questions,
    scope_of,
)

NOW = 1_000_000_000.0
LATER = 4_000_000_000
CLOCKS = ("media_service.playback.opened", "media_service.playback.gate", "media_service.web.serving")
# Files of which the most is one piece of one blob, and a range of each that lies in it.
PIECES = {
    "original.mp4": (7000, 7000 + 200_000),
    "240p.mp4": (10_000, 10_000 + FILE_BYTES),
    "hls/240p/0.m4s": (0, FILE_BYTES),
    "preview.mp4": (1, 100_000),
    "preview.webp": (60_000, 60_000 + FILE_BYTES),
}


def ranged(text: str) -> Header:
    return b"range", text.encode("ascii")


def span(start: int, stop: int) -> str:
    return f"bytes={start}-{stop - 1}"


def repeat_of(short: Shortcut, address: str, *headers: Header) -> Repeat:
    """What is known of requests for that address with these headers, of which another range was the first."""
    first = "bytes=77-78"
    scope: Any = scope_of(address, *headers, ranged(first))
    repeat = short.repeatable(scope, first.encode())
    assert repeat is not None
    return repeat


def said(part: Part) -> Answer:
    """The answer of a server that does with it what it is for."""
    own, prepared, file, offset, count, _ = part
    return Answer(206, [*own, *lines_of(prepared)], os.pread(file, count, offset))


async def known(short: Shortcut, address: str) -> Answer:
    """The whole of it, after which it is open."""
    whole = await ask(short, address)
    assert whole.status == 200, (address, whole)
    return whole


async def known_piece(short: Shortcut, address: str, wanted: str, *headers: Header) -> Repeat:
    """What is known of such requests, whose blob is open."""
    await known(short, address)
    assert (await ask(short, address, *headers, ranged(wanted), own=True)).status == 206
    return repeat_of(short, address, *headers)


def ranges(size: int) -> Iterator[str]:
    """Of all kinds that there are, in a file of that size."""
    middle = size // 2
    for start, stop in (
        (0, size),
        (1, size),
        (0, FILE_BYTES),
        (0, FILE_BYTES - 1),
        (size - FILE_BYTES, size),
        (size - FILE_BYTES + 1, size),
        (size - FILE_BYTES, size + 1),
        (middle, middle + FILE_BYTES),
        (10_000, 10_000 + FILE_BYTES),
        (7000, 170_000),
        (3, 10**19),
        (size - 1, size),
        (size, size + 1),
        (10**18, 10**19),
        (0, 1),
        (70_000, 60_000),
    ):
        yield span(max(start, 0), stop)
    yield from (
        f"bytes={start}-" for start in (0, 1, 9000, middle, max(size - FILE_BYTES, 0), size - 1, size)
    )
    yield from (f"bytes=-{count}" for count in (0, 1, FILE_BYTES - 1, FILE_BYTES, size, size + 1))
    yield from (
        f"bytes=0-0,{FILE_BYTES}-{3 * FILE_BYTES}",
        f"bytes=0-{FILE_BYTES},{FILE_BYTES}-{FILE_BYTES + 10}",  # one, put together
        f"bytes=000000{middle}-{size}",
        "bytes=0-x",
        "bytes=-",
        "bytes=",
        "frames=0-99999",
    )


def kinds_of_headers(whole: Answer) -> set[tuple[Header, ...]]:
    """What a GET may say besides its Range."""
    kinds = {
        tuple(line for line in headers if line[0] != b"range")
        for method, headers in questions(whole)
        if method == "GET"
    }
    etag, modified = whole.header(b"etag") or b"", whole.header(b"last-modified")
    kinds |= {((b"origin", ORIGIN.encode()), (b"if-range", etag)), ((b"if-range", etag), (b"if-range", etag))}
    kinds |= {((b"if-range", b"W/" + etag),), ((b"if-match", b"*"), (b"if-none-match", b"*"))}
    if modified is not None:
        kinds |= {((b"if-range", modified),), ((b"if-range", b"Sun, 06 Nov 1994 08:49:37 GMT"),)}
    return kinds


async def check(app: Litestar, short: Shortcut, address: str) -> int:
    """How often a range of what is there needs nobody to be asked: exactly where all of it is one piece of one file."""
    whole = await known(short, address)
    times = 0
    for headers in kinds_of_headers(whole):
        repeat = repeat_of(short, address, *headers)
        for wanted in ranges(len(whole.body)):
            lines = (*headers, ranged(wanted))
            answer, kinds = await ask_for_kinds(short, address, *lines, own=True)
            part = repeat.part(wanted)
            asked = (address, lines, answer.status, kinds)
            is_piece = answer.status == 206 and kinds == [ZERO_COPY]
            assert (part is not None) == is_piece, asked
            if part is not None:
                times += 1
                assert said(part) == answer, asked
                assert answer == await ask(app, address, *lines), asked
    return times


@pytest.mark.parametrize("origins", ["*", ORIGIN, ""])
async def test_each_way_gives_the_same_answer_to_all_ranges_with_all_headers(
    made: Made, monkeypatch: pytest.MonkeyPatch, origins: str
) -> None:
    base = f"/media/{made.asset_id}"
    pieces = {f"{base}/{name}" for name in PIECES}
    addresses = made.addresses if origins == "*" else [f"{base}/original.mp4", f"{base}/preview.mp4"]
    assert pieces <= {*made.addresses}
    async with opened_app(made, cors_origins=origins) as app:
        set_clocks(monkeypatch, NOW)  # the ages of tokens are in the headers
        short = Shortcut(app)
        token, _ = app.state.gate.token(made.asset_id, LATER)
        for address in addresses:
            for way in ("", f"/t/{token}"):
                times = await check(app, short, way + address)
                if address in pieces:
                    assert times >= 20, (way, address, times)


@pytest.mark.parametrize("name", PIECES)
@pytest.mark.parametrize("by_token", [False, True])
async def test_what_players_ask_for_needs_nobody_to_be_asked(made: Made, name: str, by_token: bool) -> None:
    async with opened_app(made, cors_origins=ORIGIN) as app:
        short = Shortcut(app)
        token, _ = app.state.gate.token(made.asset_id, LATER)
        address = f"/t/{token}" * by_token + f"/media/{made.asset_id}/{name}"
        start, stop = PIECES[name]
        whole = await known(short, address)
        etag = whole.header(b"etag")
        assert etag is not None
        for headers in (
            (),
            ((b"origin", ORIGIN.encode()),),
            ((b"if-range", etag),),
            ((b"if-range", etag), (b"origin", ORIGIN.encode()), (b"user-agent", b"a player")),
        ):
            repeat = await known_piece(short, address, span(start, stop), *headers)
            hits = short.hits
            part = repeat.part(span(start, stop))
            assert part is not None, headers
            answer = said(part)
            assert answer.body == whole.body[start:stop]
            assert answer.header(b"content-range") == b"bytes %d-%d/%d" % (start, stop - 1, len(whole.body))
            asks = ORIGIN.encode() if (b"origin", ORIGIN.encode()) in headers else None
            assert answer.header(b"access-control-allow-origin") == asks
            assert short.hits == hits


@pytest.mark.parametrize(
    "conditions",
    [
        ((b"if-range", b'"other"'),),
        ((b"if-range", b"Sun, 06 Nov 1994 08:49:37 GMT"),),
        ((b"if-none-match", b"{etag}"),),
        ((b"if-none-match", b"*"),),
        ((b"if-match", b'"other"'),),
        ((b"if-modified-since", b"{modified}"),),
        ((b"if-unmodified-since", b"Sun, 06 Nov 1994 08:49:37 GMT"),),
    ],
    ids=lambda lines: b" ".join(lines[0]).decode(),
)
async def test_conditions_that_do_not_hold_are_left_to_the_application(
    made: Made, conditions: tuple[Header, ...]
) -> None:
    async with opened_app(made) as app:
        short = Shortcut(app)
        address = f"/media/{made.asset_id}/original.mp4"
        wanted = span(*PIECES["original.mp4"])
        whole = await known(short, address)
        places = {b"{etag}": whole.header(b"etag"), b"{modified}": whole.header(b"last-modified")}
        headers = tuple((name, places.get(value) or value) for name, value in conditions)
        assert (await known_piece(short, address, wanted)).part(wanted) is not None
        assert repeat_of(short, address, *headers).part(wanted) is None
        assert (await ask(short, address, *headers, ranged(wanted))).status in {200, 304, 412}


async def test_a_head_with_no_range_or_another_or_two_of_them_is_not_known_by_one(made: Made) -> None:
    async with opened_app(made) as app:
        short = Shortcut(app)
        address = f"/media/{made.asset_id}/original.mp4"
        await known(short, address)
        one, other = ranged("bytes=0-1"), ranged("bytes=0-2")
        asked: list[tuple[str, list[Header], bool]] = [
            (address, [one], True),
            (address, [], False),
            (address, [other], False),
            (address, [one, one], False),
            (address, [one, other], False),
            ("/api/v1/assets.csv", [one], False),
        ]
        for path, lines, may in asked:
            scope: Any = scope_of(path, *lines)
            assert (short.repeatable(scope, b"bytes=0-1") is not None) == may, (path, lines)


async def test_where_nginx_reads_the_files_it_is_always_asked_to(made: Made) -> None:
    async with opened_app(made, accel_prefix="/_blobs/") as app:
        short = Shortcut(app)
        address = f"/media/{made.asset_id}/original.mp4"
        scope: Any = scope_of(address, ranged("bytes=0-1"))
        assert short.repeatable(scope, b"bytes=0-1") is None  # also when this is the first that it hears
        await known(short, address)
        assert short.repeatable(scope, b"bytes=0-1") is None


async def test_what_nobody_has_asked_for_yet_is_left_to_the_application(made: Made) -> None:
    async with opened_app(made) as app:
        short = Shortcut(app)
        name = "hls/240p/0.m4s"
        address, wanted = f"/media/{made.asset_id}/{name}", span(*PIECES[name])
        repeat = repeat_of(short, address)
        assert repeat.part(wanted) is None
        await known(short, address)  # from memory, and now it is known
        part = repeat.part(wanted)
        assert part is not None
        assert said(part).body == (await ask(app, address)).body[:FILE_BYTES]


def set_clocks(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    """Let it be that time where tokens are looked at."""
    for module in CLOCKS:
        monkeypatch.setattr(f"{module}.time", lambda: now)


async def test_the_time_that_a_token_has_left_is_told_each_second(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_app(made) as app:
        short = Shortcut(app)
        expires = int(NOW) + 60
        set_clocks(monkeypatch, NOW)
        token, _ = app.state.gate.token(made.asset_id, expires)
        address = f"/t/{token}/media/{made.asset_id}/original.mp4"
        wanted = span(*PIECES["original.mp4"])
        repeat = await known_piece(short, address, wanted)
        ages = []
        for later in (0.0, 0.5, 1.0, 1.9, 7.0, 58.999, 59.0, 59.999):
            set_clocks(monkeypatch, NOW + later)
            part = repeat.part(wanted)  # before anybody else asks at that time
            assert part is not None, later
            assert said(part) == await ask(short, address, ranged(wanted), own=True)
            assert said(part) == await ask(app, address, ranged(wanted))
            ages.append(said(part).header(b"cache-control"))
        assert len(ages) == 8
        assert len(set(ages)) == 5  # seconds
        set_clocks(monkeypatch, float(expires))
        assert repeat.part(wanted) is None
        assert (await ask(short, address, ranged(wanted))).status == 410
        set_clocks(monkeypatch, NOW)
        assert (await ask(short, address, ranged(wanted), own=True)).status == 206


async def test_a_token_whose_time_has_not_come_opens_nothing(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_app(made) as app:
        short = Shortcut(app)
        set_clocks(monkeypatch, NOW)
        token, _ = app.state.gate.token(made.asset_id, LATER, not_before=int(NOW))
        address = f"/t/{token}/media/{made.asset_id}/original.mp4"
        wanted = span(*PIECES["original.mp4"])
        repeat = await known_piece(short, address, wanted)
        assert repeat.part(wanted) is not None
        set_clocks(monkeypatch, NOW - 0.001)  # a clock that was put right
        assert repeat.part(wanted) is None
        assert (await ask(short, address, ranged(wanted))).status == 403
        set_clocks(monkeypatch, NOW)
        part = repeat.part(wanted)
        assert part is not None
        assert said(part) == await ask(app, address, ranged(wanted))


async def test_what_changes_is_asked_for_anew(made: Made) -> None:
    async with opened_app(made) as app:
        short = Shortcut(app)
        address = f"/media/{made.asset_id}/original.mp4"
        wanted = span(*PIECES["original.mp4"])
        repeat = await known_piece(short, address, wanted)
        before = repeat.part(wanted)
        assert before is not None
        answer = said(before)
        await app.state.catalog.update_asset(made.asset_id, visibility="signed")
        try:
            assert repeat.part(wanted) is None
            assert (await ask(short, address, ranged(wanted))).status == 403
            assert repeat.part(wanted) is None
        finally:
            await app.state.catalog.update_asset(made.asset_id, visibility="public")
        assert repeat.part(wanted) is None
        assert await ask(short, address, ranged(wanted), own=True) == answer
        again = repeat.part(wanted)
        assert again is not None
        assert said(again) == answer


async def test_a_blob_that_was_closed_is_opened_by_the_application_only(made: Made) -> None:
    async with opened_app(made) as app:
        short = Shortcut(app)
        opened: OpenedRepresentations = app.state.opened
        address = f"/media/{made.asset_id}/original.mp4"
        wanted = span(*PIECES["original.mp4"])
        repeat = await known_piece(short, address, wanted)
        for _ in range(3 * IDLE_SWEEPS):
            assert repeat.part(wanted) is not None  # whoever asks keeps it open
            await opened.sweep()
        for _ in range(IDLE_SWEEPS):
            await opened.sweep()
        assert repeat.part(wanted) is None
        answer = await ask(short, address, ranged(wanted), own=True)
        part = repeat.part(wanted)
        assert part is not None
        assert said(part) == answer


async def test_what_is_being_sent_stays_open_over_sweeps_and_a_deletion_and_not_longer(
    made: Made, tmp_path: Path
) -> None:
    own = made._replace(data_dir=tmp_path / "media")
    shutil.copytree(made.data_dir, own.data_dir)
    async with opened_app(own) as app:
        short = Shortcut(app)
        address = f"/media/{made.asset_id}/original.mp4"
        wanted = span(*PIECES["original.mp4"])
        repeat = await known_piece(short, address, wanted)
        before = repeat.part(wanted)
        assert before is not None
        answer = said(before)
        blob = os.fstat(before[2])
        for _ in range(2):  # whoever has it meanwhile
            async with before[5]():
                for _ in range(2 * IDLE_SWEEPS):
                    await app.state.opened.blobs.sweep()
            assert said(before) == answer
        first, second = before[5](), before[5]()
        async with first:
            async with second:
                secret = (b"authorization", f"Bearer {TOKEN}".encode())
                gone = await ask(app, f"/api/v1/assets/{made.asset_id}", secret, method="DELETE")
                assert gone.status == 204
                assert repeat.part(wanted) is None
                await app.state.opened.sweep()
                assert said(before) == answer
                assert (await ask(short, address, ranged(wanted))).status == 404
            assert said(before) == answer
            assert is_open(blob)
        assert not is_open(blob)


def is_open(file: os.stat_result) -> bool:
    """Whether this process has it open by any descriptor."""
    held = []
    for number in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # what listed them
            held.append(number.stat())
    return any((one.st_dev, one.st_ino) == (file.st_dev, file.st_ino) for one in held)


async def test_what_is_forgotten_is_held_by_no_head_that_was_kept(made: Made) -> None:
    """Heads may be as many as there are addresses; what is kept of films has a bound in bytes (playback.opened)."""
    async with opened_app(made) as app:
        short = Shortcut(app)
        address = f"/media/{made.asset_id}/original.mp4"
        wanted = span(*PIECES["original.mp4"])
        repeat = await known_piece(short, address, wanted)
        assert repeat.part(wanted) is not None
        representation = app.state.opened.get((address.encode(), b"")).representation
        assert answers_about(representation)
        app.state.opened.drop((address.encode(), b""))
        assert not answers_about(representation)
        assert repeat.part(wanted) is None


def answers_about(representation: Representation) -> list[Answers]:
    """All that anybody holds."""
    gc.collect()
    return [
        one for one in gc.get_objects() if isinstance(one, Answers) and one.representation is representation
    ]
