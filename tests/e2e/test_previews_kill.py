"""SIGKILL in the middle of making previews: the next service goes on with what was kept, and nothing else is left."""

from __future__ import annotations

import os
import random
import time
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from media_service.jpeg.segments import read_jpeg
from media_service.store.keys import previews_tree
from tests.support.api import listed, put_in
from tests.support.films import Film, Films
from tests.support.leaks import new_children
from tests.support.processes import children, descendants, wait_until
from tests.support.server import Server, running_server

SECONDS = 60
# One keyframe: all but the first tile are decoded for it.
FILM = Film(seconds=SECONDS, size=(640, 360), keyframe_seconds=SECONDS, audio=False)
DEADLINE_SECONDS = 120.0


def run_rounds(directory: Path, film: Path, rounds: int) -> None:
    """Kill the service while it makes the previews of a film, `rounds` times, and then let it come to an end."""
    family = {(child.pid, child.started) for child in children(os.getpid())}
    served: dict[str, bytes] = {}
    for number in range(rounds):
        chance = random.Random(number)
        with running_server(directory, transcode_workers=0) as server, server.client() as client:
            still_serves(client, served)
            asset = put_in(client, film)
            wait_until(partial(has_some, client, asset["id"]), DEADLINE_SECONDS, "the first tiles")
            if number % 2:
                wait_until(partial(makes, server), DEADLINE_SECONDS, "the others are begun")
            served[f"/media/{asset['id']}/storyboard/tiles/0.jpg"] = b""
            still_serves(client, served)
            time.sleep(chance.uniform(0, 0.5))  # a kill comes when it comes
            server.kill()
        wait_until(lambda: not new_children(family), 5, "ffmpeg follows the service")
    with running_server(directory, transcode_workers=0) as server, server.client() as client:
        still_serves(client, served)
        for asset in listed(client):
            whole = partial(is_whole, server, client, asset["id"])
            wait_until(whole, DEADLINE_SECONDS, "all are made")


def told(client: httpx.Client, asset_id: str) -> dict[str, Any] | None:
    said: dict[str, Any] | None = client.get(f"/api/v1/assets/{asset_id}").json()["previews"]
    return said


def has_some(client: httpx.Client, asset_id: str) -> bool:
    return told(client, asset_id) is not None


def makes(server: Server) -> bool:
    return any(process.name == "ffmpeg" for process in descendants(server.pid))


def still_serves(client: httpx.Client, served: dict[str, bytes]) -> None:
    """The first tile of each film is there, and stays the same."""
    for address, before in served.items():
        answer = client.get(address)
        assert answer.status_code == 200, address
        read_jpeg(answer.content)
        assert answer.content == (before or answer.content)
        served[address] = answer.content


def is_whole(server: Server, client: httpx.Client, asset_id: str) -> bool:
    """All tiles are there, in the one blob that there is."""
    said = told(client, asset_id)
    stored = list((server.data_dir / "blobs" / previews_tree(asset_id)).iterdir())
    if said is None or not said["complete"] or len(stored) > 1:
        return False
    assert said["count"] == SECONDS
    for number in range(SECONDS):
        read_jpeg(client.get(f"/media/{asset_id}/storyboard/tiles/{number}.jpg").content)
    return True


def test_previews_survive_kills_in_the_middle_of_their_making(tmp_path: Path, films: Films) -> None:
    run_rounds(tmp_path, films.film(FILM), rounds=2)


@pytest.mark.torture
def test_previews_survive_twenty_kills(tmp_path: Path, films: Films) -> None:
    run_rounds(tmp_path, films.film(FILM), rounds=20)
