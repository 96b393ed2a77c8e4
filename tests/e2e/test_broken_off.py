"""A film whose making is broken off in the middle: by SIGKILL of the service or of its ffmpeg, by SIGTERM, by deletion.

Segments are given out while a film is being made, so those that were committed once are there afterwards, with the same
ETags, and only the rest is made.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api import PLAYABLE, put_in, settled
from tests.support.committed import Committed, become_whole_films, committed, is_served
from tests.support.films import Film, Films
from tests.support.leaks import new_children
from tests.support.processes import children, descendants, ffmpegs, wait_until
from tests.support.renditions import fetch, playlist_of
from tests.support.server import Server, running_server

DEADLINE_SECONDS = 120.0
FILM = Film(seconds=40, size=(640, 480), codec="mpeg4")  # of its picture everything has to be encoded
FRAMES = 40 * 25


@pytest.fixture
def busy(tmp_path: Path, films: Films) -> Iterator[tuple[Server, str]]:
    """A service in the middle of a transcode, and the film's id: some segments are made, and ffmpeg is at the next ones."""
    with running_server(tmp_path, transcode_threads=1) as server:
        with server.client() as client:
            asset_id = put_in(client, films.film(FILM))["id"]
        settled(server, asset_id, DEADLINE_SECONDS, PLAYABLE)
        wait_until(
            lambda: bool(committed(server.data_dir) and ffmpegs(server.pid)),
            DEADLINE_SECONDS,
            "the first segments",
        )
        yield server, asset_id


def becomes_whole(server: Server, asset_id: str, before: Committed, path: Path) -> None:
    """Though it was broken off: what was committed by then is there, and all the rest comes to it."""
    with server.client() as client:
        for which, place in before.items():
            is_served(client, which, place)
    become_whole_films(server, set(), FRAMES, path, DEADLINE_SECONDS)
    after = committed(server.data_dir)
    assert before.items() <= after.items()
    with server.client() as client:
        for which in before:
            is_served(client, which, after[which])


@pytest.mark.torture
def test_a_killed_ffmpeg_takes_nothing_that_was_made_with_it(
    busy: tuple[Server, str], tmp_path: Path
) -> None:
    server, asset_id = busy
    before = committed(server.data_dir)
    for encoder in ffmpegs(server.pid):
        os.kill(encoder.pid, signal.SIGKILL)
    with server.client() as client:
        wait_until(lambda: not ffmpegs(server.pid), DEADLINE_SECONDS, "the batch waits for better times")
        asset = client.get(f"/api/v1/assets/{asset_id}").json()
        assert (asset["state"], asset["error"]) == ("playable", None)
        for which, place in before.items():
            is_served(client, which, place)
        # Who waits for a segment need not wait until the batch is tried again.
        last = playlist_of(client, asset_id, "480p").segments[-1]
        assert fetch(client, f"/media/{asset_id}/hls/480p/{last.uri}")
    server.kill()
    with running_server(tmp_path) as again:
        becomes_whole(again, asset_id, before, tmp_path / "film.mp4")


def test_a_service_killed_in_the_middle_of_a_film_goes_on_where_it_was(
    busy: tuple[Server, str], tmp_path: Path
) -> None:
    server, asset_id = busy
    family = {(child.pid, child.started) for child in children(os.getpid())}
    before = committed(server.data_dir)
    server.kill()
    wait_until(lambda: not new_children(family), 5, "ffmpeg follows the service")
    with running_server(tmp_path) as again:
        becomes_whole(again, asset_id, before, tmp_path / "film.mp4")


def test_a_film_deleted_while_it_is_made_leaves_no_file_and_no_process(busy: tuple[Server, str]) -> None:
    server, asset_id = busy
    with server.client() as client:
        assert client.delete(f"/api/v1/assets/{asset_id}").status_code == 204
        assert not ffmpegs(server.pid)
        assert list((server.data_dir / "blobs").iterdir()) == []
        assert committed(server.data_dir) == {}
        assert client.get(f"/media/{asset_id}/original.mp4").status_code == 404


@pytest.mark.torture
def test_a_service_told_to_stop_in_the_middle_goes_on_where_it_was(
    busy: tuple[Server, str], tmp_path: Path
) -> None:
    server, asset_id = busy
    before = committed(server.data_dir)
    server.stop()
    assert not [child for child in descendants(os.getpid()) if child.name == "ffmpeg"]
    with running_server(tmp_path) as again:
        becomes_whole(again, asset_id, before, tmp_path / "film.mp4")
