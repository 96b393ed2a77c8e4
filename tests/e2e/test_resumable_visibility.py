"""Who may play a film that comes by resumable upload: said when it begins, and kept until it is there."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.assets import assert_problem
from tests.support.films import Film, Films
from tests.support.resumable import (
    TUS,
    UPLOADS,
    append,
    append_tus,
    begin_tus,
    finished,
    path_of,
    vary,
)
from tests.support.server import Server, running_server

SIZE = 100_000
VISIBILITIES = ("public", "signed", None)
# Texts that name no visibility.
STRANGE = ("", "secret", "Public", "signed ", "public,signed", "\xff")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(
        tmp_path_factory.mktemp("service"), playback="signed", transcode_workers=0, max_open_uploads=50
    ) as running:
        yield running


@pytest.fixture
def client(service: Server) -> Iterator[httpx.Client]:
    with service.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def camera(service: Server) -> str:
    """A key that may upload, and nothing else."""
    with service.client() as client:
        key: str = client.post("/api/v1/keys", json={"name": "camera", "scopes": ["upload"]}).json()["key"]
        return key


@pytest.fixture(scope="module")
def film(films: Films) -> bytes:
    return vary(films.film(Film(seconds=1, size=(160, 90))).read_bytes(), SIZE, 1)


def said(visibility: str | None) -> dict[str, str]:
    """The pair of Upload-Metadata."""
    if visibility is None:
        return {}
    encoded = base64.b64encode(visibility.encode("latin-1")).decode()
    return {"Upload-Metadata": f"filename ZmlsbS5tcDQ=,visibility {encoded}".strip()}


def assert_played(client: httpx.Client, path: str, visibility: str | None) -> None:
    """The asset of the finished upload has that visibility, and is for everybody or not."""
    asset = finished(client, path)
    assert asset["visibility"] == visibility
    seen = client.get(f"/watch/{asset['id']}/asset.json")  # where no key counts
    assert seen.status_code == (200 if visibility == "public" else 403)


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_by_tus_it_is_a_key_of_the_metadata(
    client: httpx.Client, film: bytes, visibility: str | None
) -> None:
    path = begin_tus(client, len(film), headers=said(visibility))
    append_tus(client, path, 0, film[:50_000])
    if visibility:
        told = client.head(path, headers=TUS).headers["upload-metadata"]
        assert told == said(visibility)["Upload-Metadata"]  # as it came
    assert append_tus(client, path, 50_000, film[50_000:]).status_code == 204
    assert_played(client, path, visibility)


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_by_the_draft_it_stands_in_the_address(
    client: httpx.Client, film: bytes, visibility: str | None
) -> None:
    query = {"visibility": visibility} if visibility else {}
    begun = client.post(UPLOADS, headers={"Upload-Complete": "?0"}, content=film[:50_000], params=query)
    path = path_of(begun.headers["location"])
    assert append(client, path, 50_000, film[50_000:], complete=True).status_code == 201
    assert_played(client, path, visibility)
    whole = client.post(UPLOADS, headers={"Upload-Complete": "?1"}, content=film, params=query)
    assert whole.status_code == 201
    assert whole.json()["visibility"] == visibility


def test_a_film_put_together_is_what_the_last_request_says(client: httpx.Client, film: bytes) -> None:
    parts = []
    for piece in (film[:60_000], film[60_000:]):
        part = begin_tus(client, len(piece), headers={"Upload-Concat": "partial", **said("public")})
        append_tus(client, part, 0, piece)
        parts.append(part)
    final = client.post(
        UPLOADS, headers={**TUS, "Upload-Concat": f"final;{' '.join(parts)}", **said("signed")}
    )
    assert final.status_code == 201, final.text
    assert_played(client, path_of(final.headers["location"]), "signed")


def test_it_survives_a_restart(tmp_path: Path, film: bytes) -> None:
    with running_server(tmp_path, transcode_workers=0) as server, server.client() as client:
        by_tus = begin_tus(client, len(film), headers=said("signed"))
        append_tus(client, by_tus, 0, film[:70_000])
        begun = client.post(
            UPLOADS, params={"visibility": "signed"}, headers={"Upload-Complete": "?0"}, content=film[:70_000]
        )
        by_draft = path_of(begun.headers["location"])
        server.kill()
    with running_server(tmp_path, transcode_workers=0) as server, server.client() as client:
        append_tus(client, by_tus, 70_000, film[70_000:])
        append(client, by_draft, 70_000, film[70_000:], complete=True)
        for path in (by_tus, by_draft):
            assert finished(client, path)["visibility"] == "signed"


@pytest.mark.parametrize("text", STRANGE)
def test_what_is_none_is_refused_and_nothing_is_begun(client: httpx.Client, text: str) -> None:
    wish = {**TUS, "Upload-Length": "10", "Idempotency-Key": f"strange-{STRANGE.index(text)}"}
    assert_problem(client.post(UPLOADS, headers={**wish, **said(text)}), 400, "invalid_request")
    answer = client.post(UPLOADS, params={"visibility": text}, headers={"Upload-Complete": "?0"})
    assert_problem(answer, 400, "invalid_request")
    # The key is free: no upload has it, for which another length would be a mistake.
    assert client.post(UPLOADS, headers={**wish, "Upload-Length": "11"}).status_code == 201


def test_by_tus_it_is_not_taken_from_the_address_where_a_client_could_not_see_it(
    client: httpx.Client,
) -> None:
    wish = {**TUS, "Upload-Length": "10"}
    answer = client.post(UPLOADS, params={"visibility": "signed"}, headers=wish)
    assert "Upload-Metadata" in assert_problem(answer, 400, "invalid_request")["detail"]
    assert answer.headers["tus-resumable"] == "1.0.0"


def test_only_who_may_manage_opens_a_film_to_everybody(
    client: httpx.Client, camera: str, film: bytes
) -> None:
    key = {"Authorization": f"Bearer {camera}"}
    by_tus = client.post(UPLOADS, headers={**TUS, "Upload-Length": "10", **said("public"), **key})
    by_draft = client.post(
        UPLOADS, params={"visibility": "public"}, headers={"Upload-Complete": "?1", **key}, content=film
    )
    for refused in (by_tus, by_draft):
        assert_problem(refused, 403, "forbidden")
    signed = client.post(
        UPLOADS, params={"visibility": "signed"}, headers={"Upload-Complete": "?1", **key}, content=film
    )
    assert signed.json()["visibility"] == "signed"
