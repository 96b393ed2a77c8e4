"""Applications that are asked as a server asks them, about a film of which everything is made."""

from __future__ import annotations

import asyncio
import os
import re
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from litestar import Litestar

from media_service.settings import Settings
from media_service.web.send import ZERO_COPY
from media_service.web.shortcut import Shortcut
from tests.support.api import put_in, settled
from tests.support.films import Film, Films
from tests.support.processes import wait_until
from tests.support.server import running_server

TOKEN = "the-admin-token-of-these-tests"
KEYS = {"k": bytes(32)}
MADE_SECONDS = 90.0
SETTLED = 200  # times that a film was the same
ORIGIN = "https://player.example"
Header = tuple[bytes, bytes]


class Answer(NamedTuple):
    """What an ASGI application sent."""

    status: int
    headers: list[Header]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)


def scope_of(path: str, *headers: Header, method: str = "GET", own: bool = False) -> dict[str, Any]:
    """What uvicorn says of a request, or our `own` server."""
    parts = urlsplit(path)
    return {
        "type": "http", "method": method, "path": parts.path, "raw_path": parts.path.encode(), "query_string": parts.query.encode(),
        "headers": [(b"host", b"example"), *headers], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000), "scheme": "http",
        "http_version": "1.1", "root_path": "", "asgi": {"version": "3.0", "spec_version": "2.3"}, "state": {}, "extensions": {ZERO_COPY: {}} if own else {},
    }  # fmt: skip


async def ask(app: Any, path: str, *headers: Header, method: str = "GET", own: bool = False) -> Answer:
    """Ask an ASGI application as uvicorn does, or as our `own` server does."""
    answer, _ = await ask_for_kinds(app, path, *headers, method=method, own=own)
    return answer


async def ask_for_kinds(
    app: Any, path: str, *headers: Header, method: str = "GET", own: bool = False
) -> tuple[Answer, list[str]]:
    """... and of which kinds the messages were that its body came with."""
    sent: list[Any] = []
    asked = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        if asked:
            return asked.pop()
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message["type"] == ZERO_COPY:
            assert own
            message["body"] = os.pread(message["file"], message["count"], message["offset"])
        sent.append(message)

    await app(scope_of(path, *headers, method=method, own=own), receive, send)
    start, *pieces = sent
    assert start["type"] == "http.response.start"
    assert [piece["more_body"] for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    headers = (*start["headers"], *lines_of(start.get("prepared", b"")))
    body = b"".join(bytes(piece["body"]) for piece in pieces)
    return Answer(start["status"], [*headers], body), [piece["type"] for piece in pieces]


def lines_of(prepared: bytes) -> list[Header]:
    """The headers in lines that were prepared."""
    lines = [line.partition(b": ") for line in prepared.split(b"\r\n")]
    assert lines.pop() == (b"", b"", b"")  # each of them has its end
    return [(name, value) for name, _, value in lines]


class Made(NamedTuple):
    """A data directory with a film of which everything is made."""

    data_dir: Path
    asset_id: str
    addresses: list[str]


def everything_made(directory: Path, films: Films) -> Made:
    """A film that a service made all there is of in that directory."""
    with running_server(directory, admin_token=TOKEN) as server, server.client() as client:
        asset_id = put_in(client, films.film(Film(seconds=9, size=(640, 360))))["id"]
        settled(server, asset_id, MADE_SECONDS)

        def all_made() -> bool:
            found = client.get(f"/api/v1/assets/{asset_id}").raise_for_status().json()["playback"]
            return bool(found["storyboard"] and found["preview"] and found["waveform"] and found["mp4"])

        wait_until(all_made, MADE_SECONDS, "previews, a clip, a waveform, classic files")
        base = f"/media/{asset_id}"
        renditions = re.findall(r"^(\w+)/index", client.get(f"{base}/hls/master.m3u8").text, re.MULTILINE)
        names = [
            "original.mp4", "download", "poster.jpg", "dash/manifest.mpd", "hls/master.m3u8", "preview.mp4", "preview.webp",
            "waveform.json", "storyboard.vtt", "storyboard.json", "storyboard/0.jpg", "storyboard/tiles/0.jpg", "hls/images/index.m3u8",
            "hls/images/tiles.m3u8", "hls/images/init.mp4", "hls/images/0.m4s",
        ]  # fmt: skip
        for rendition in renditions:
            playlist = client.get(f"{base}/hls/{rendition}/index.m3u8").text
            versioned = re.search(r"^0\.m4s\?\S+", playlist, re.MULTILINE)
            assert versioned is not None
            names += [f"hls/{rendition}/{name}" for name in ("index.m3u8", "init.mp4", "0.m4s", versioned[0])]
        assert len(renditions) >= 2
        picture = next(name for name in renditions if name != "source")
        names += [f"hls/{picture}/iframes.m3u8", f"{picture}.mp4"]
    return Made(server.data_dir, asset_id, [f"{base}/{name}" for name in names])


@asynccontextmanager
async def opened_app(made: Made, **settings: Any) -> AsyncIterator[Litestar]:
    with warnings.catch_warnings():
        # Litestar 2.23 began to announce what 3.0 will want of handlers; the service's own log does not show it either.
        warnings.simplefilter("ignore", DeprecationWarning)
        from media_service.app import create_app  # noqa: PLC0415 - see above

        app = create_app(
            Settings(data_dir=made.data_dir, transcode_workers=0, **settings),
            admin_token=TOKEN,
            signing_keys=KEYS,
        )
    async with app.lifespan(), asyncio.timeout(MADE_SECONDS):
        # What was left to do of the film ends soon; until then each step of it has the film looked at anew.
        short = Shortcut(app)
        while short.hits < SETTLED:
            await ask(short, made.addresses[0])
        yield app


def questions(whole: Answer) -> Iterator[tuple[str, tuple[Header, ...]]]:
    """Method and headers of requests for a representation whose answer without any is `whole`."""
    size = len(whole.body)
    etag, modified = whole.header(b"etag") or b"", whole.header(b"last-modified")
    ranges = (
        b"0-0",
        b"0-1",
        b"5-",
        b"-7",
        b"%d-" % (size - 1),
        b"3-%d" % (size + 5),
        b"%d-" % size,
        b"x",
        b"0-1,4-5",
        b"2-1",
    )
    said: list[tuple[Header, ...]] = [
        (),
        *[((b"range", b"bytes=" + text),) for text in ranges],
        ((b"range", b"bytes=0-1"), (b"range", b"bytes=2-3")),
        ((b"if-none-match", etag),),
        ((b"if-none-match", b'W/"x", ' + etag),),
        ((b"if-none-match", b'"other"'), (b"range", b"bytes=1-2")),
        ((b"if-match", b'"other"'),),
        ((b"if-match", etag), (b"range", b"bytes=1-2")),
        ((b"if-range", etag), (b"range", b"bytes=1-2")),
        ((b"if-range", b'"other"'), (b"range", b"bytes=1-2")),
    ]
    if modified is not None:
        said += [
            ((b"if-modified-since", modified),),
            ((b"if-unmodified-since", b"Sun, 06 Nov 1994 08:49:37 GMT"),),
        ]
    for headers in said:
        yield "GET", headers
    for method in ("GET", "HEAD"):
        for headers in said[:2]:
            yield method, headers
            yield method, (*headers, (b"origin", ORIGIN.encode()))
            yield method, (*headers, (b"origin", b"https://other.example"), (b"accept", b"*/*"))
