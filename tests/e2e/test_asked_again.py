"""What was opened for viewers is forgotten when the film is another, or gone: by requests at once, by the disk within seconds."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.support.api import put_in, settled
from tests.support.films import Films
from tests.support.processes import wait_until
from tests.support.server import Server

READY_SECONDS = 60.0
SETTLE_SECONDS = 10.0


def held(server: Server, asset_id: str) -> list[str]:
    """The files of an asset that the service has open."""
    return [name for name in _open_files(server.pid) if f"/{asset_id}/" in name or "/.deleted-" in name]


def _open_files(pid: int) -> Iterator[str]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            yield str(link.readlink())
        except FileNotFoundError:
            continue  # closed meanwhile


def test_a_deleted_film_is_gone_at_once_and_its_room_is_free_soon(server: Server, films: Films) -> None:
    with server.client() as client:
        asset_id = put_in(client, films.film())["id"]
        settled(server, asset_id, READY_SECONDS)
        address = f"/media/{asset_id}/original.mp4"
        whole = client.get(address).content
        for start in range(0, len(whole), 10_000):
            answer = client.get(address, headers={"Range": f"bytes={start}-{start + 99}"})
            assert answer.content == whole[start : start + 100]
        assert held(server, asset_id)
        assert client.delete(f"/api/v1/assets/{asset_id}").status_code == 204
        assert client.get(address).status_code == 404
        assert client.head(address).status_code == 404
        wait_until(lambda: not held(server, asset_id), SETTLE_SECONDS, "the deleted film is closed")


def test_what_nobody_asks_for_any_more_is_closed(server: Server, films: Films) -> None:
    with server.client() as client:
        asset_id = put_in(client, films.film())["id"]
        settled(server, asset_id, READY_SECONDS)
        for _ in range(3):
            client.get(f"/media/{asset_id}/original.mp4").raise_for_status()
        assert held(server, asset_id)
        wait_until(lambda: not held(server, asset_id), 3 * SETTLE_SECONDS, "the film is closed")
        client.get(f"/media/{asset_id}/original.mp4").raise_for_status()


def test_visibility_is_asked_of_the_film_as_it_is_whoever_watches(server: Server, films: Films) -> None:
    with server.client() as client:
        asset_id = put_in(client, films.film())["id"]
        settled(server, asset_id, READY_SECONDS)
        address = f"{server.url}/media/{asset_id}/original.mp4"

        def statuses(_: int) -> set[int]:
            with httpx.Client() as viewer:
                return {viewer.get(address, headers={"Range": "bytes=0-9"}).status_code for _ in range(20)}

        with ThreadPoolExecutor(4) as viewers:
            for visibility, status in (("signed", 403), ("public", 206)) * 3:
                changed = client.patch(f"/api/v1/assets/{asset_id}", json={"visibility": visibility})
                assert changed.status_code == 200, changed.text
                assert set().union(*viewers.map(statuses, range(4))) == {status}
