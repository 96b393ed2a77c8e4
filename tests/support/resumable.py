"""Resumable uploads request by request, in both dialects: tus 1.0.0, and draft-ietf-httpbis-resumable-upload-12."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Mapping
from typing import Any

import httpx

from media_service.store.keys import original_key
from tests.support.processes import wait_until
from tests.support.server import Server

UPLOADS = "/api/v1/uploads"
TUS = {"Tus-Resumable": "1.0.0"}
TUS_BODY = {"Content-Type": "application/offset+octet-stream"}
IETF = {"Upload-Draft-Interop-Version": "8"}
IETF_BODY = {"Content-Type": "application/partial-upload"}
FINISH_SECONDS = 20.0
Headers = Mapping[str, str]
NONE: Headers = {}


def vary(film: bytes, size: int, number: int) -> bytes:
    """The film with a `free` box at its end (ISO 14496-12 s8.1.2), `size` bytes together: another file for each `number`."""
    rest = size - len(film)
    return film + rest.to_bytes(4) + b"free" + random.Random(number).randbytes(rest - 8)


def path_of(location: str) -> str:
    """The path in a Location header, absolute or relative."""
    return httpx.URL(location).path


def digest_field(data: bytes, name: str = "sha-256") -> str:
    """Content-Digest or Repr-Digest of `data` (RFC 9530)."""
    digest = hashlib.new(name.replace("-", ""), data).digest()
    return f"{name}=:{base64.b64encode(digest).decode()}:"


# --- tus ------------------------------------------------------------------------------------------------------


def begin_tus(client: httpx.Client, length: int, filename: str = "film.mp4", headers: Headers = NONE) -> str:
    """Create an upload (tus Creation); its path."""
    metadata = f"filename {base64.b64encode(filename.encode()).decode()}"
    given = {**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata, **headers}
    answer = client.post(UPLOADS, headers=given)
    assert answer.status_code == 201, answer.text
    return path_of(answer.headers["location"])


def append_tus(
    client: httpx.Client, path: str, offset: int, data: bytes, headers: Headers = NONE
) -> httpx.Response:
    """One PATCH (tus Core); whatever the answer is."""
    given = {**TUS, **TUS_BODY, "Upload-Offset": str(offset), **headers}
    return client.patch(path, content=data, headers=given)


def tus_offset(client: httpx.Client, path: str) -> int:
    """How far it is (tus HEAD)."""
    answer = client.head(path, headers=TUS)
    assert answer.status_code in {200, 204}, answer.status_code
    return int(answer.headers["upload-offset"])


# --- IETF -----------------------------------------------------------------------------------------------------


def create(
    client: httpx.Client,
    data: bytes = b"",
    *,
    complete: bool = False,
    method: str = "POST",
    headers: Headers = NONE,
) -> httpx.Response:
    """Upload Creation (draft s4.2), whatever the answer is; `data` may be the beginning or the whole."""
    given = {**IETF, "Upload-Complete": _boolean(complete), **headers}
    return client.request(method, UPLOADS, content=data, headers=given)


def begin_ietf(client: httpx.Client, data: bytes = b"", headers: Headers = NONE) -> str:
    """Create an upload that begins with `data`; its path."""
    answer = create(client, data, headers=headers)
    assert answer.status_code == 201, answer.text
    return path_of(answer.headers["location"])


def append(
    client: httpx.Client,
    path: str,
    offset: int,
    data: bytes,
    *,
    complete: bool = False,
    headers: Headers = NONE,
) -> httpx.Response:
    """Upload Append (draft s4.4), whatever the answer is."""
    given = {
        **IETF,
        **IETF_BODY,
        "Upload-Complete": _boolean(complete),
        "Upload-Offset": str(offset),
        **headers,
    }
    return client.patch(path, content=data, headers=given)


def retrieve(client: httpx.Client, path: str, method: str = "HEAD") -> httpx.Response:
    """Offset Retrieval (draft s4.3), whatever the answer is."""
    return client.request(method, path, headers=IETF)


def ietf_offset(client: httpx.Client, path: str) -> int:
    """How far it is."""
    answer = retrieve(client, path)
    assert answer.status_code in {200, 204}, answer.status_code
    return int(answer.headers["upload-offset"])


def limits(answer: httpx.Response) -> dict[str, int]:
    """Upload-Limit: a Dictionary of Integers (s4.1.4)."""
    members = (member.strip().partition("=") for member in answer.headers["upload-limit"].split(","))
    return {name: int(value) for name, _, value in members}


def is_asset_of(answer: httpx.Response, film: bytes) -> str:
    """The answer is the one that a form upload would get, marked as the outcome (s4.4.2); the asset's path."""
    assert (answer.status_code, answer.headers["upload-complete"]) == (201, "?1"), answer.text
    asset = answer.json()
    assert answer.headers["location"].endswith(f"/api/v1/assets/{asset['id']}")
    assert (asset["size"], asset["sha256"]) == (len(film), hashlib.sha256(film).hexdigest())
    return path_of(answer.headers["location"])


def assert_problem_type(answer: httpx.Response, uri: str, code: str) -> dict[str, object]:
    """A problem of a type that the draft names (s7)."""
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert (body["type"], body["code"], body["status"]) == (uri, code, answer.status_code)
    return body


# --- either ---------------------------------------------------------------------------------------------------


def arrived_bytes(server: Server, path: str) -> int:
    """How much of the upload lies in its blob, told or not."""
    blob = server.data_dir / "blobs" / original_key(path.rpartition("/")[2])
    return blob.stat().st_size if blob.exists() else 0


def finished(client: httpx.Client, path: str) -> dict[str, Any]:
    """The JSON of the asset that the upload has become. Raises TimeoutError; fails the test when it was rejected."""
    upload: dict[str, Any] = {}

    def done() -> bool:
        upload.update(client.get(path).raise_for_status().json())
        assert upload["state"] in {"open", "finished"}, upload
        return bool(upload["state"] == "finished")

    wait_until(done, FINISH_SECONDS, f"{path} is finished")
    asset: dict[str, Any] = client.get(upload["asset"]).raise_for_status().json()
    return asset


def _boolean(value: bool) -> str:
    return "?1" if value else "?0"
