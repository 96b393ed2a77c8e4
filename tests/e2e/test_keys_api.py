"""API keys on a real server: what each scope opens and what it does not, and who sees whose uploads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from media_service.store.api_keys import SCOPES
from tests.support.server import Server

KEYS = "/api/v1/keys"
ASSETS = "/api/v1/assets"
UPLOADS = "/api/v1/uploads"
TUS = {"Tus-Resumable": "1.0.0"}

# What a request needs; none of them changes anything when it is let through.
NEEDS = [
    ("GET", ASSETS, "read"),
    ("HEAD", ASSETS, "read"),
    ("GET", f"{ASSETS}/unknown", "read"),
    ("GET", f"{ASSETS}/unknown/seek?t=0", "read"),
    ("GET", f"{ASSETS}/unknown/events", "read"),
    ("POST", ASSETS, "upload"),
    ("PUT", ASSETS, "upload"),
    ("POST", UPLOADS, "upload"),
    ("GET", f"{UPLOADS}/unknown", "upload"),
    ("HEAD", f"{UPLOADS}/unknown", "upload"),
    ("PATCH", f"{UPLOADS}/unknown", "upload"),
    ("DELETE", f"{UPLOADS}/unknown", "upload"),
    ("POST", f"{UPLOADS}/unknown", "upload"),
    ("POST", "/api/v1/transform", "transform"),
    ("PATCH", f"{ASSETS}/unknown", "manage"),
    ("DELETE", f"{ASSETS}/unknown", "manage"),
    ("GET", KEYS, "manage"),
    ("POST", KEYS, "manage"),
    ("DELETE", f"{KEYS}/unknown", "manage"),
    ("GET", "/api/v1/webhooks", "manage"),
    ("POST", "/api/v1/webhooks", "manage"),
    ("DELETE", "/api/v1/webhooks/unknown", "manage"),
    ("GET", "/api/v1/webhooks/unknown/deliveries", "manage"),
]


@pytest.fixture
def admin(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def stranger(server: Server) -> Iterator[httpx.Client]:
    with server.client(authorized=False) as client:
        yield client


def make(admin: httpx.Client, name: str, *scopes: str) -> dict[str, Any]:
    answer = admin.post(KEYS, json={"name": name, "scopes": scopes})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def bearer(key: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['key']}"}


@pytest.fixture(scope="module")
def keys(server: Server) -> Iterator[dict[str, dict[str, str]]]:
    """Scope -> the headers of a key that has this one only."""
    with server.client() as admin:
        made = {scope: make(admin, f"only {scope}", scope) for scope in SCOPES}
    yield {scope: bearer(key) for scope, key in made.items()}
    with server.client() as admin:
        for key in made.values():
            assert admin.delete(f"{KEYS}/{key['id']}").status_code == 204


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("request_and_need", NEEDS, ids=" ".join)
def test_a_scope_opens_what_is_its_own(
    stranger: httpx.Client,
    keys: dict[str, dict[str, str]],
    request_and_need: tuple[str, str, str],
    scope: str,
) -> None:
    method, path, needed = request_and_need
    answer = stranger.request(method, path, headers=keys[scope])
    if scope in {needed, "manage"}:
        assert answer.status_code not in {401, 403}
    else:
        assert answer.status_code == 403
        if method != "HEAD":
            assert answer.json()["code"] == "forbidden"
            assert needed in answer.json()["detail"]


def test_a_new_key_is_shown_once(admin: httpx.Client, stranger: httpx.Client) -> None:
    made = make(admin, "shown once", "read")
    assert made["scopes"] == ["read"]
    answer = admin.get(KEYS)
    assert answer.headers["cache-control"] == "no-store"
    assert made["key"] not in answer.text
    [listed] = [item for item in answer.json()["items"] if item["id"] == made["id"]]
    assert listed == {name: made[name] for name in ("id", "name", "scopes", "created_at")} | {
        "last_used_at": None
    }
    assert stranger.get(ASSETS, headers=bearer(made)).status_code == 200
    [used] = [item for item in admin.get(KEYS).json()["items"] if item["id"] == made["id"]]
    assert used["last_used_at"] is not None
    assert admin.delete(f"{KEYS}/{made['id']}").status_code == 204


def test_a_revoked_key_opens_nothing_from_then_on(admin: httpx.Client, stranger: httpx.Client) -> None:
    made = make(admin, "for a moment", "read")
    assert stranger.get(ASSETS, headers=bearer(made)).status_code == 200
    assert admin.delete(f"{KEYS}/{made['id']}").status_code == 204
    assert stranger.get(ASSETS, headers=bearer(made)).json()["code"] == "unauthorized"
    assert admin.delete(f"{KEYS}/{made['id']}").json()["code"] == "not_found"
    assert made["id"] not in admin.get(KEYS).text


def test_a_name_is_given_once_and_may_hold_anything_that_can_be_seen(admin: httpx.Client) -> None:
    name = "<img src=x onerror=alert(1)>'; DROP TABLE api_keys; --"
    made = make(admin, name, "read")
    assert made["name"] == name
    again = admin.post(KEYS, json={"name": name, "scopes": ["upload"]})
    assert (again.status_code, again.json()["code"]) == (409, "name_taken")
    assert admin.delete(f"{KEYS}/{made['id']}").status_code == 204
    assert admin.delete(f"{KEYS}/{make(admin, name, 'read')['id']}").status_code == 204


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"name": "x"},
        {"scopes": ["read"]},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["write"]},
        {"name": "x", "scopes": "read"},
        {"name": "", "scopes": ["read"]},
        {"name": " ", "scopes": ["read"]},
        {"name": "x" * 65, "scopes": ["read"]},
        {"name": "a\u202eb", "scopes": ["read"]},
        {"name": "x\x00", "scopes": ["read"]},
        {"name": 1, "scopes": ["read"]},
        {"name": "x", "scopes": ["read"], "id": "admin"},
        [],
        None,
    ],
)
def test_a_wish_that_does_not_fit_is_refused(admin: httpx.Client, wish: object) -> None:
    answer = admin.post(KEYS, json=wish)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_each_key_sees_its_own_uploads_only(admin: httpx.Client, stranger: httpx.Client) -> None:
    one, other = make(admin, "uploader one", "upload"), make(admin, "uploader two", "upload")
    begun = stranger.post(UPLOADS, headers={**bearer(one), **TUS, "Upload-Length": "5"})
    assert begun.status_code == 201, begun.text
    place = begun.headers["location"]
    for method in ("HEAD", "GET", "PATCH", "DELETE"):
        asked = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        for who in (bearer(other), dict(admin.headers)):
            assert stranger.request(method, place, headers={**who, **asked}).status_code == 404, method
    assert stranger.head(place, headers={**bearer(one), **TUS}).headers["upload-offset"] == "0"
    assert stranger.delete(place, headers={**bearer(one), **TUS}).status_code == 204
    for key in (one, other):
        assert admin.delete(f"{KEYS}/{key['id']}").status_code == 204


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"name": "\xff"}', b'"\\ud800"', b"[" * 100_000, b"1e999", b"nul"]
)
@pytest.mark.parametrize(("method", "path"), [("POST", KEYS), ("PATCH", f"{ASSETS}/unknown")])
def test_what_is_no_json_is_refused(admin: httpx.Client, method: str, path: str, body: bytes) -> None:
    answer = admin.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
