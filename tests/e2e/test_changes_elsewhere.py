"""What another process changes in the catalog, here this one, players meet with their next request, whoever answers it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from media_service.store.catalog import open_catalog
from media_service.store.engine import sqlite_url
from tests.support.assets import await_extras, upload
from tests.support.server import Server, running_server

FILES = ("original.mp4", "hls/master.m3u8", "hls/source/index.m3u8", "hls/source/0.m4s", "poster.jpg")
ROUNDS = 8  # of connections: more than there are processes that may answer


def statuses(server: Server, asset_id: str) -> set[int]:
    """What players get who come one after the other, each on a connection of his own."""
    found = set()
    for _ in range(ROUNDS):
        with server.client(authorized=False) as viewer:
            for file in FILES:
                found.add(viewer.get(f"/media/{asset_id}/{file}", headers={"Range": "bytes=0-9"}).status_code)
    return found


@pytest.mark.parametrize("workers", [1, 3])
async def test_a_film_that_another_process_hides_or_deletes_is_seen_no_more_at_once(
    tmp_path: Path, film: bytes, workers: int
) -> None:
    with running_server(tmp_path, transcode_workers=0, workers=workers) as server:
        with server.client() as client:
            one, other = (upload(client, film, f"{name}.mp4")["id"] for name in ("one", "other"))
            for asset_id in (one, other):
                await_extras(client, asset_id)
        async with open_catalog(sqlite_url(server.data_dir / "catalog.sqlite3")) as catalog:
            for _ in range(2):  # the second time from what is open already
                assert statuses(server, one) == statuses(server, other) == {httpx.codes.PARTIAL_CONTENT}
            await catalog.update_asset(one, visibility="signed")
            assert statuses(server, one) == {httpx.codes.FORBIDDEN}
            await catalog.update_asset(one, visibility="public")
            assert statuses(server, one) == {httpx.codes.PARTIAL_CONTENT}
            await catalog.delete_asset(one)
            assert statuses(server, one) == {httpx.codes.NOT_FOUND}
            assert statuses(server, other) == {httpx.codes.PARTIAL_CONTENT}
