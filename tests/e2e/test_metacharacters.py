"""What means something to SQL, to LIKE, to JSON or to a shell is text here, wherever it stands; bodies of other types are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from media_service.store.listing import folded
from tests.support.assets import upload
from tests.support.films import Film, Films
from tests.support.schema import Schema, operations, schema
from tests.support.server import Server, running_server

__all__ = ["schema"]

ASSETS = "/api/v1/assets"
NASTY = [
    "'",
    '"',
    "''",
    "' OR '1'='1",
    "' OR 1=1 --",
    "'; DROP TABLE assets; --",
    '"; DROP TABLE assets; --',
    "') UNION SELECT digest, name, scopes, 4, 5 FROM api_keys --",
    "1; ATTACH DATABASE '/tmp/attached-by-a-test' AS x",
    "' AND (SELECT randomblob(1000000000)) --",
    "%",
    "_",
    "%%' ESCAPE '",
    "\\",
    "\\%",
    "[a-z]*?",
    "a\0b",
    "\x1a",
    "\u02bc\uff07",
    "${7*7} $(id) `id` |id",
    "{{7*7}} {% raw %}",
    "\U0001f3ac\u202e",
    "NULL",
    "x" * 900,
]
PLAIN = "Alpine meadow"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that makes no pictures: here only names matter."""
    with running_server(tmp_path_factory.mktemp("archive"), transcode_workers=0) as running:
        yield running


@pytest.fixture(scope="module")
def titled(archive: Server, films: Films) -> dict[str, str]:
    """Asset ids by their titles, each a nasty one but the first."""
    film = films.film(Film(seconds=1, audio=False))
    with archive.client() as client:
        found = {PLAIN: upload(client, film, "plain.mp4")["id"]}
        client.patch(f"{ASSETS}/{found[PLAIN]}", json={"title": PLAIN}).raise_for_status()
        for title in (one for one in NASTY if one.isprintable() and len(one) < 30):
            made = upload(client, film, "film.mp4")["id"]
            answer = client.patch(f"{ASSETS}/{made}", json={"title": title})
            assert (answer.status_code, answer.json()["title"]) == (200, title)
            found[title] = made
    return found


@pytest.fixture
def client(archive: Server) -> Iterator[httpx.Client]:
    with archive.client() as opened:
        yield opened


def ids(page: dict[str, Any]) -> set[str]:
    return {item["id"] for item in page["items"]}


@pytest.mark.parametrize("text", NASTY)
def test_a_search_finds_the_very_text_and_nothing_else(
    client: httpx.Client, titled: dict[str, str], text: str
) -> None:
    answer = client.get(ASSETS, params={"q": text, "limit": 200})
    if answer.status_code == 400:
        assert len(text) > 200
        return
    expected = {made for title, made in titled.items() if folded(text) in folded(title)}
    assert answer.status_code == 200
    assert ids(answer.json()) == expected


@pytest.mark.parametrize("text", NASTY)
def test_no_other_filter_takes_them(client: httpx.Client, titled: dict[str, str], text: str) -> None:
    for name in ("state", "cursor", "limit"):
        if text == "NULL" and name != "limit":
            continue  # how to say in a query that there is no filter
        answer = client.get(ASSETS, params={name: text})
        assert answer.status_code == 400, f"{name}={text}: {answer.text}"
        assert answer.json()["code"] == "invalid_request"
    assert ids(client.get(ASSETS, params={"limit": 200}).json()) == set(titled.values())


@pytest.mark.parametrize("text", NASTY)
def test_they_name_nothing(client: httpx.Client, titled: dict[str, str], schema: Schema, text: str) -> None:
    """As the id in every address that has one: unknown, for reading, changing and deleting alike."""
    for path, method, operation in operations(schema):
        if "{" not in path or method in {"options", "post"}:
            continue
        body = {"title": "taken"} if "requestBody" in operation and method == "patch" else None
        address = re.sub(r"\{(\w+)\}", lambda _: httpx.QueryParams({"": text}).__str__()[1:], path)
        answer = client.request(method, address.replace("+", "%20"), json=body)
        assert 400 <= answer.status_code < 500, f"{method} {address}: {answer.status_code} {answer.text}"
    assert ids(client.get(ASSETS, params={"limit": 200}).json()) == set(titled.values())


@pytest.mark.parametrize("text", [one for one in NASTY if one.isascii() and one.isprintable()])
def test_they_are_keys_of_idempotency_like_others(
    client: httpx.Client, films: Films, titled: dict[str, str], text: str
) -> None:
    film = films.film(Film(seconds=1, audio=False)).read_bytes()
    headers = {"Idempotency-Key": text}
    first = client.put(ASSETS, content=film, headers=headers)
    if first.status_code == 400:  # more than visible characters, or too many
        assert " " in text or len(text) > 255 or text.startswith('"')
        return
    again = client.put(ASSETS, content=film, headers=headers)
    assert first.json()["id"] == again.json()["id"] not in titled.values()
    client.delete(f"{ASSETS}/{first.json()['id']}").raise_for_status()


# --- bodies ---------------------------------------------------------------------------------------------------

# Whole bodies that are no object, or no JSON.
NO_OBJECTS = [
    "",
    "null",
    "true",
    "1",
    '"text"',
    "[]",
    "[{}]",
    "{",
    "{}{}",
    "\ufeff{}",
    "NaN",
    "[" * 5000,
    "{'a': 1}",
]
WRONG: list[object] = [None, True, 0, -1, 1e400, 2**70, 1.5, "", "\0", "x" * 5000, [], [[]], [None], {}, {"a": {}}]  # fmt: skip


def json_operations(schema: Schema) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, address and properties of all that take JSON."""
    for path, method, operation in operations(schema):
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            reference = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
            properties = schema["components"]["schemas"][reference]["properties"]
            yield method, re.sub(r"\{\w+\}", "unknown", path), properties


def test_bodies_of_other_types_are_refused(client: httpx.Client, schema: Schema) -> None:
    asked = 0
    for method, path, properties in json_operations(schema):
        bodies = [*NO_OBJECTS, '{"unknown": 1}', *_wrong(properties)]
        for body in bodies:
            headers = {"Content-Type": "application/json"}
            answer = client.request(method, path, content=body.encode(), headers=headers)
            # 404: fit to be read, of something that is not there; 403, 409: a webhook or key that may not be.
            assert answer.status_code in {400, 403, 404, 409}, f"{method} {path} {body[:80]}: {answer.text}"
            assert answer.headers["content-type"] == "application/problem+json"
            asked += 1
    assert asked > 100


def _wrong(properties: dict[str, Any]) -> Iterator[str]:
    """Each property in turn with each wrong value; the others are absent, so that none of these is ever whole."""
    for name in properties:
        for value in WRONG:
            yield json.dumps({name: value})
        yield f'{{"{name}": "a", "{name}": ["b"]}}'
        yield f'{{"{name}": {"[" * 2000}'


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/msgpack", "multipart/form-data", "a" * 300],
)  # fmt: skip
def test_bodies_under_other_names_are_refused(
    client: httpx.Client, schema: Schema, content_type: str
) -> None:
    for method, path, _ in json_operations(schema):
        for body in (b"name=x&scopes=read", b"\x81\xa4name\xa1x", b"--x\r\n", b"\xff\xfe\0", bytes(3000)):
            answer = client.request(method, path, content=body, headers={"Content-Type": content_type})
            assert 400 <= answer.status_code < 500, f"{method} {path} {content_type}: {answer.text}"


def test_it_all_left_no_trace(archive: Server, client: httpx.Client, titled: dict[str, str]) -> None:
    assert "failed, request" not in archive.log_text(1 << 22)
    assert client.get("/api/v1/keys").json()["items"] == []
    assert client.get("/api/v1/webhooks").json()["items"] == []
    assert ids(client.get(ASSETS, params={"limit": 200}).json()) == set(titled.values())
    assert not Path("/tmp/attached-by-a-test").exists()
