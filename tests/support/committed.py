"""The segments that a service has made for good: what its catalog names, and what lies in its store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import httpx

from media_service.store.keys import segments_tree
from tests.support.api import download, listed, settled
from tests.support.media import decoded, packets
from tests.support.processes import wait_until
from tests.support.renditions import joined
from tests.support.server import Server


class Which(NamedTuple):
    """One segment."""

    asset_id: str
    rendition: str
    number: int

    @property
    def address(self) -> str:
        return f"/media/{self.asset_id}/hls/{self.rendition}/{self.number}.m4s"


class Place(NamedTuple):
    """Where it lies, and what names its bytes."""

    blob: str
    digest: str


Committed = dict[Which, Place]


def committed(data_dir: Path) -> Committed:
    """What the catalog names, read beside the running service."""
    with closing(sqlite3.connect(f"file:{data_dir / 'catalog.sqlite3'}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT asset_id, rendition, number, blob, digest FROM segments").fetchall()
    return {Which(*row[:3]): Place(*row[3:]) for row in rows}


def nothing_is_doubled(data_dir: Path, asset_id: str) -> None:
    """Of a film that nobody works on: each stored segment is in the catalog, and each in the catalog is stored."""
    blobs = data_dir / "blobs"

    def agree() -> bool:
        stored = {str(path.relative_to(blobs)) for path in (blobs / segments_tree(asset_id)).glob("*/*")}
        named = [place.blob for which, place in committed(data_dir).items() if which.asset_id == asset_id]
        return len(set(named)) == len(named) and stored == set(named)

    wait_until(agree, 10, "leftovers are swept behind the back of the running service")


def is_served(client: httpx.Client, which: Which, place: Place) -> None:
    """At once, and as the bytes that it was from the beginning."""
    answer = client.get(which.address)
    assert (answer.status_code, answer.headers["etag"]) == (200, f'"{place.digest}"'), which


def become_whole_films(server: Server, whole: set[str], frames: int, path: Path, seconds: float) -> None:
    """The transcodes are taken up, each rendition plays to its end, and nothing of broken-off runs is left.

    Within `seconds` each. `whole` are those that were found to be so earlier; `path` is for what is fetched of them.
    """
    with server.client() as client:
        for asset_id in {asset["id"] for asset in listed(client)} - whole:
            asset = settled(server, asset_id, seconds)
            assert asset["state"] == "ready", asset["error"]
            assert asset["playback"]["poster"]
            download(client, asset["playback"]["mp4"], path)
            assert has_frames(path, frames)
            for one in asset["renditions"]:
                assert one["state"] == "ready"
                if one["kind"] == "video":
                    assert has_frames(joined(client, asset_id, one["name"], path), frames)
            nothing_is_doubled(server.data_dir, asset_id)
            whole.add(asset_id)


def has_frames(path: Path, frames: int) -> bool:
    """Whether the file has so many pictures, each of which can be decoded."""
    pictures = [line for line in decoded(path) if line.startswith("0,")]
    return len(pictures) == len(packets(path, "v", "pts")) == frames
