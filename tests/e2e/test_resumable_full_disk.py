"""A disk that fills up under resumable uploads: what has arrived is kept, the rest comes when there is room."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.support.assets import assert_problem, await_state, upload
from tests.support.films import Film, Films
from tests.support.processes import wait_until
from tests.support.raw_http import RawConnection
from tests.support.resumable import (
    IETF,
    IETF_BODY,
    TUS,
    TUS_BODY,
    append,
    append_tus,
    arrived_bytes,
    begin_ietf,
    begin_tus,
    finished,
    ietf_offset,
    tus_offset,
    vary,
)
from tests.support.server import Server, running_server
from tests.support.small_disk import fill, tiny_disk
from tests.support.uploads import answer_of, key

__all__ = ["tiny_disk"]

MIB = 1 << 20
SIZE = 8 * MIB


@pytest.mark.parametrize(
    ("dialect", "left"), [("tus", 0), ("ietf", 32 * MIB)], ids=["no room at all", "room for the catalog"]
)
def test_a_full_disk_keeps_what_it_has_and_takes_the_rest_later(
    tiny_disk: Path, films: Films, dialect: str, left: int
) -> None:
    film = films.film(Film(seconds=1, moov_at_end=False)).read_bytes()
    content = vary(film, SIZE, 1)
    filler = tiny_disk / "media" / "filler"
    with running_server(tiny_disk, transcode_workers=0) as service, service.client() as client:
        other = await_state(client, upload(client, film)["id"], "playable")
        tus = dialect == "tus"
        path = begin_tus(client, SIZE) if tus else begin_ietf(client, headers={"Upload-Length": str(SIZE)})
        first = append_tus(client, path, 0, content[:MIB]) if tus else append(client, path, 0, content[:MIB])
        assert first.status_code == 204

        filled_up_within_a_request(service, path, content, dialect, left=left)

        kept = tus_offset(client, path) if tus else ietf_offset(client, path)
        assert MIB <= kept < SIZE
        send = append_tus if tus else append
        answer = send(client, path, kept, content[kept:])
        assert_problem(answer, 507, "storage_full")
        assert answer.headers["retry-after"] == "60"
        assert client.get(path).json()["offset"] >= kept
        # What is there can be watched all the same.
        assert client.get(other["playback"]["original"]["url"]).content == film

        filler.unlink()
        kept = tus_offset(client, path) if tus else ietf_offset(client, path)
        if tus:
            assert append_tus(client, path, kept, content[kept:]).status_code == 204
        else:
            assert append(client, path, kept, content[kept:], complete=True).status_code == 201
        asset = finished(client, path)
        assert asset["sha256"] == hashlib.sha256(content).hexdigest()


def filled_up_within_a_request(
    service: Server, path: str, content: bytes, dialect: str, *, left: int
) -> None:
    """A PATCH from 1 MiB on, half of which has arrived when the disk is full: 507."""
    given = {**TUS, **TUS_BODY} if dialect == "tus" else {**IETF, **IETF_BODY, "Upload-Complete": "?1"}
    length = {"Upload-Offset": str(MIB), "Content-Length": str(SIZE - MIB)}
    with RawConnection(service.port) as connection:
        connection.request("PATCH", path, {**key(service), **given, **length})
        connection.send(content[MIB : 4 * MIB])
        wait_until(lambda: arrived_bytes(service, path) >= 2 * MIB, 10, "half of it is there")
        fill(service.data_dir / "filler", but=left)
        connection.send(content[4 * MIB :])
        head, body = answer_of(connection)
    assert (head.status, head.headers["retry-after"]) == (507, "60"), body
