"""Films in a data directory of which every byte is known, for services of any arrangement."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.support.assets import await_extras, await_state, upload
from tests.support.films import Film, Films
from tests.support.ranges_client import Known, unmistakable
from tests.support.server import running_server

BIG = 12 << 20
MADE_FROM = Film(seconds=3, quality=10, size=(640, 480))
FORGET_SECONDS = 0.005
RENDITIONS = ("source", "240p")  # one is cut out of the upload, the other is encoded


class Shelf(NamedTuple):
    """Films, and what is served of them. The first two are uploads of BIG random bytes."""

    directory: Path
    bodies: list[Known]
    assets: list[str]


def filled(directory: Path, films: Films) -> Shelf:
    """Two such uploads, and a film that is played as a classic file and as segments, of many extents each."""
    bodies, assets = [], []
    with running_server(directory) as server, server.client() as client:
        for seed in (1, 2):
            content = unmistakable(plain(films), BIG, seed)
            asset = put(client, content)
            known = whole(client, str(asset["playback"]["original"]["url"]))
            assert known.content == content
            bodies.append(known)
            assets.append(str(asset["id"]))
        made = await_state(client, upload(client, films.film(MADE_FROM))["id"], "ready")
        bodies += [whole(client, address) for address in _addresses(client, made)]
        for asset_id in assets:
            await_extras(client, asset_id)
    return Shelf(directory, bodies, [*assets, str(made["id"])])


def plain(films: Films) -> bytes:
    """A film that is served as it was uploaded."""
    return films.film(Film(seconds=1, moov_at_end=False)).read_bytes()


@contextmanager
def kept_cold(shelf: Shelf) -> Iterator[None]:
    """Whatever is read of the films' blobs comes from the disk: the kernel is told again and again to forget them."""
    done = threading.Event()
    with ExitStack() as opened:
        blobs = [path for path in (shelf.directory / "media" / "blobs").rglob("*") if path.is_file()]
        files = [opened.enter_context(path.open("rb")).fileno() for path in blobs]

        def forget() -> None:
            while not done.wait(FORGET_SECONDS):
                for file in files:
                    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)

        os.sync()  # what is not on the disk yet is not forgotten
        thread = threading.Thread(target=forget)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def put(client: httpx.Client, content: bytes) -> dict[str, Any]:
    """Upload it; the asset's JSON when it can be played."""
    return await_state(client, upload(client, content)["id"], "playable", "ready")


def whole(client: httpx.Client, address: str) -> Known:
    """What is there now, to hold later answers against."""
    answer = client.get(address).raise_for_status()
    assert len(answer.content) == int(answer.headers["content-length"])
    return Known(address, answer.content, answer.headers["etag"], answer.headers["content-type"])


def _addresses(client: httpx.Client, asset: dict[str, Any]) -> list[str]:
    """Of what is put together from pieces of blobs and of memory, and of a small file."""
    base, playback = f"/media/{asset['id']}/hls", asset["playback"]
    found = [str(playback[kind]) for kind in ("mp4", "poster")]
    for rendition in RENDITIONS:
        lines = client.get(f"{base}/{rendition}/index.m3u8").raise_for_status().text.splitlines()
        found += [f"{base}/{rendition}/{line}" for line in lines if ".m4s" in line][:2]
    return [*found, str(playback["original"]["url"])]
