"""Uploads that come twice: a key makes them one, and so do their bytes if the operator wants it. Digests on the way in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.api import listed
from tests.support.assets import assert_problem, await_extras, await_state
from tests.support.films import Film, Films
from tests.support.forms import CONTENT_TYPE, file, form, text
from tests.support.nginx import Nginx
from tests.support.raw_http import RawConnection
from tests.support.resumable import (
    TUS,
    append_tus,
    begin_tus,
    create,
    digest_field,
    is_asset_of,
    path_of,
    tus_offset,
    vary,
)
from tests.support.server import Server, running_server
from tests.support.uploads import UPLOADS, answer_of, blob_trees, key

AT_ONCE = 6
MIB = 1 << 20
Headers = dict[str, str]
Way = Callable[[httpx.Client, bytes, Headers], str]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("service"), transcode_workers=0) as running:
        yield running


@pytest.fixture(scope="module")
def thrifty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that keeps the same bytes once."""
    with running_server(tmp_path_factory.mktemp("thrifty"), deduplicate=True) as running:
        yield running


@pytest.fixture
def client(service: Server) -> Iterator[httpx.Client]:
    yield from emptied(service)


@pytest.fixture
def thrifty_client(thrifty: Server) -> Iterator[httpx.Client]:
    yield from emptied(thrifty)


def emptied(server: Server) -> Iterator[httpx.Client]:
    """A client of a service that has no assets, and gets rid of those that the test makes."""
    with server.client(timeout=60) as opened:
        yield opened
        for asset in listed(opened):
            opened.delete(f"{UPLOADS}/{asset['id']}").raise_for_status()


@pytest.fixture(scope="module")
def film(films: Films) -> bytes:
    return films.film(Film(seconds=1, size=(160, 90), moov_at_end=False)).read_bytes()


def put_form(client: httpx.Client, data: bytes, headers: Headers) -> httpx.Response:
    body = form(text("title", "A film"), file(data))
    return client.post(UPLOADS, content=body, headers={"Content-Type": CONTENT_TYPE, **headers})


def put_raw(client: httpx.Client, data: bytes, headers: Headers) -> httpx.Response:
    return client.put(UPLOADS, params={"filename": "film.mp4"}, content=data, headers=headers)


def by_form(client: httpx.Client, data: bytes, headers: Headers) -> str:
    return is_created(put_form(client, data, headers), data)


def by_put(client: httpx.Client, data: bytes, headers: Headers) -> str:
    return is_created(put_raw(client, data, headers), data)


def by_tus(client: httpx.Client, data: bytes, headers: Headers) -> str:
    """In two pieces, from where the service is: a repeated creation may find it all done."""
    path = begin_tus(client, len(data), headers=headers)
    half = len(data) // 2
    for start, stop in ((0, half), (half, len(data))):
        if tus_offset(client, path) == start:
            assert append_tus(client, path, start, data[start:stop]).status_code == 204
    return str(client.head(path, headers=TUS).headers["upload-asset"])


def by_draft(client: httpx.Client, data: bytes, headers: Headers) -> str:
    return is_asset_of(create(client, data, complete=True, headers=headers), data)


WAYS = {"form": by_form, "put": by_put, "tus": by_tus, "draft": by_draft}
SIMPLE = {"form": put_form, "put": put_raw}


def is_created(answer: httpx.Response, data: bytes) -> str:
    """The answer names an asset of these bytes; its path."""
    assert answer.status_code == 201, answer.text
    asset = answer.json()
    assert (asset["size"], asset["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert answer.headers["repr-digest"] == digest_field(data)
    assert answer.headers["location"] == f"{UPLOADS}/{asset['id']}"
    return path_of(answer.headers["location"])


def keeps_one(server: Server, client: httpx.Client, path: str) -> None:
    """There is this asset and no other, and nothing else in the store."""
    assert [f"{UPLOADS}/{asset['id']}" for asset in listed(client)] == [path]
    assert blob_trees(server) == {path.rpartition("/")[2]}


def what_was_made(server: Server, asset_id: str) -> dict[str, tuple[int, int]]:
    """Every blob of the asset with its inode and time: whatever is made again has others."""
    tree = server.data_dir / "blobs" / asset_id
    stats = {str(path.relative_to(tree)): path.stat() for path in tree.rglob("*") if path.is_file()}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


# --- keys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("first", WAYS)
def test_an_upload_that_is_repeated_with_its_key_is_the_same_asset_whichever_way_it_comes(
    service: Server, client: httpx.Client, film: bytes, first: str, second: str
) -> None:
    again = {"Idempotency-Key": f"{first}-then-{second}"}
    path = WAYS[first](client, film, again)
    assert WAYS[second](client, film, again) == path
    keeps_one(service, client, path)


@pytest.mark.parametrize("way", SIMPLE)
def test_a_key_is_the_same_in_quotes(service: Server, client: httpx.Client, film: bytes, way: str) -> None:
    path = WAYS[way](client, film, {"Idempotency-Key": '"8e03978e-40d5"'})
    assert WAYS[way](client, film, {"Idempotency-Key": "8e03978e-40d5"}) == path
    keeps_one(service, client, path)


@pytest.mark.parametrize("expects", [False, True], ids=["body on its way", "waits for 100 Continue"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_repeated_upload_is_answered_before_its_body_is_sent(
    service: Server, client: httpx.Client, film: bytes, method: str, expects: bool
) -> None:
    path = by_put(client, film, {"Idempotency-Key": "told-at-once"})
    headers = key(service, Content_Type=CONTENT_TYPE if method == "POST" else "video/mp4")
    headers |= {"Idempotency-Key": "told-at-once", "Content-Length": str(1000 * MIB)}
    with RawConnection(service.port) as connection:
        connection.request(method, UPLOADS, headers | ({"Expect": "100-continue"} if expects else {}))
        if not expects:
            connection.send(film)
        head, body = answer_of(connection)
        assert (head.status, head.headers["location"]) == (201, path)
        assert head.headers["repr-digest"] == digest_field(film)
        assert head.headers["connection"] == "close"
        assert path.rpartition("/")[2].encode() in body
        assert connection.closed_by_peer
    keeps_one(service, client, path)


@pytest.mark.parametrize("way", SIMPLE)
def test_a_repeated_upload_is_answered_through_nginx_too(
    server: Server, nginx: Nginx, film: bytes, way: str
) -> None:
    again = {"Idempotency-Key": f"nginx-{way}"}
    with server.client(url=nginx.url) as client:
        path = WAYS[way](client, film, again)
        answer = SIMPLE[way](client, vary(film, 20 * MIB, 1), again)
        assert is_created(answer, film) == path
        client.delete(path).raise_for_status()


def test_of_uploads_with_one_key_that_come_at_once_one_becomes_the_asset(
    service: Server, client: httpx.Client, film: bytes
) -> None:
    def send(number: int) -> dict[str, Any]:
        way = list(SIMPLE.values())[number % 2]
        answer = way(client, vary(film, MIB, number), {"Idempotency-Key": "at-once"})
        assert answer.status_code == 201, answer.text
        asset: dict[str, Any] = answer.json()
        return asset

    with ThreadPoolExecutor(AT_ONCE) as threads:
        came = list(threads.map(send, range(AT_ONCE)))
    assert len({(asset["id"], asset["sha256"]) for asset in came}) == 1
    keeps_one(service, client, f"{UPLOADS}/{came[0]['id']}")


def test_uploads_with_one_key_are_one_asset_also_when_they_come_at_once_in_all_ways(
    service: Server, client: httpx.Client, film: bytes
) -> None:
    ways = [by_form, by_put, by_draft]
    with ThreadPoolExecutor(len(ways)) as threads:
        came = set(threads.map(lambda way: way(client, film, {"Idempotency-Key": "all-ways"}), ways))
    assert len(came) == 1
    keeps_one(service, client, came.pop())


@pytest.mark.parametrize("way", SIMPLE)
def test_an_unfinished_upload_with_the_key_becomes_the_asset_that_overtook_it(
    service: Server, client: httpx.Client, film: bytes, way: str
) -> None:
    again = {"Idempotency-Key": f"overtaken-by-{way}"}
    upload = begin_tus(client, len(film), headers=again)
    assert append_tus(client, upload, 0, film[:1000]).status_code == 204
    path = WAYS[way](client, film, again)
    last = append_tus(client, upload, 1000, film[1000:])
    assert (last.status_code, last.headers["upload-asset"]) == (204, path)
    keeps_one(service, client, path)


@pytest.mark.parametrize("way", WAYS)
def test_another_key_and_none_are_other_uploads(client: httpx.Client, film: bytes, way: str) -> None:
    keys: list[Headers] = [{"Idempotency-Key": "one"}, {"Idempotency-Key": "other"}, {}, {}]
    assert len({WAYS[way](client, film, given) for given in keys}) == len(keys)


@pytest.mark.parametrize("way", WAYS)
def test_a_deleted_asset_frees_its_key(service: Server, client: httpx.Client, film: bytes, way: str) -> None:
    again = {"Idempotency-Key": f"freed-{way}"}
    first = WAYS[way](client, film, again)
    client.delete(first).raise_for_status()
    second = WAYS[way](client, film, again)
    assert first != second
    keeps_one(service, client, second)


@pytest.mark.parametrize("way", SIMPLE)
def test_a_refused_file_frees_its_key(service: Server, client: httpx.Client, film: bytes, way: str) -> None:
    again = {"Idempotency-Key": f"refused-{way}"}
    assert_problem(SIMPLE[way](client, b"no film " * 1000, again), 422, "not_media")
    keeps_one(service, client, WAYS[way](client, film, again))


@pytest.mark.parametrize("way", SIMPLE)
@pytest.mark.parametrize("given", ["", "two words", '"open', "k" * 256, "a, b"])
def test_a_key_of_another_form_is_refused(
    service: Server, client: httpx.Client, film: bytes, way: str, given: str
) -> None:
    answer = SIMPLE[way](client, film, {"Idempotency-Key": given})
    assert "Idempotency-Key" in assert_problem(answer, 400, "invalid_request")["detail"]
    assert blob_trees(service) == set()


def test_a_key_that_comes_twice_in_one_request_is_none(client: httpx.Client, film: bytes) -> None:
    twice = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    assert_problem(client.put(UPLOADS, content=film, headers=twice), 400, "invalid_request")


# --- the same bytes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("first", ["put", "tus"])
def test_the_same_bytes_are_one_asset_if_the_operator_wants_it(
    thrifty: Server, thrifty_client: httpx.Client, film: bytes, first: str, second: str
) -> None:
    path = WAYS[first](thrifty_client, film, {})
    assert WAYS[second](thrifty_client, film, {}) == path
    keeps_one(thrifty, thrifty_client, path)


def test_the_same_bytes_that_come_at_once_are_one_asset(
    thrifty: Server, thrifty_client: httpx.Client, film: bytes
) -> None:
    ways = list(WAYS.values())
    with ThreadPoolExecutor(len(ways)) as threads:
        came = set(threads.map(lambda way: way(thrifty_client, film, {}), ways))
    assert len(came) == 1
    keeps_one(thrifty, thrifty_client, came.pop())


def test_nothing_is_made_again_of_what_is_here(
    thrifty: Server, thrifty_client: httpx.Client, film: bytes
) -> None:
    """Neither of a key that is repeated nor of bytes that are: no rendition, no still, no index, no second row."""
    path = by_put(thrifty_client, film, {"Idempotency-Key": "once"})
    await_state(thrifty_client, path.rpartition("/")[2], "ready")
    ready = await_extras(thrifty_client, path.rpartition("/")[2])
    made = what_was_made(thrifty, ready["id"])
    assert len(made) > 1
    for way in WAYS.values():
        for given in ({"Idempotency-Key": "once"}, {"Idempotency-Key": f"new-{way.__name__}"}, {}):
            assert way(thrifty_client, film, given) == path
    # Work for the workshop is done in the order in which it came: had there been any more, it would be seen by now.
    other = await_extras(thrifty_client, by_put(thrifty_client, vary(film, MIB, 1), {}).rpartition("/")[2])
    assert thrifty_client.get(path).json() == ready
    assert what_was_made(thrifty, ready["id"]) == made
    assert {asset["id"] for asset in listed(thrifty_client)} == {ready["id"], other["id"]}
    assert blob_trees(thrifty) == {ready["id"], other["id"]}


def test_other_bytes_of_the_same_size_are_another_asset(thrifty_client: httpx.Client, film: bytes) -> None:
    paths = {by_put(thrifty_client, vary(film, MIB, number), {}) for number in range(2)}
    assert len(paths) == 2


@pytest.mark.parametrize("way", WAYS)
def test_the_bytes_of_a_deleted_asset_are_new_ones(
    thrifty: Server, thrifty_client: httpx.Client, film: bytes, way: str
) -> None:
    first = WAYS[way](thrifty_client, film, {})
    thrifty_client.delete(first).raise_for_status()
    second = WAYS[way](thrifty_client, film, {})
    assert first != second
    keeps_one(thrifty, thrifty_client, second)


def test_a_film_that_failed_may_be_tried_again(thrifty_client: httpx.Client, film: bytes) -> None:
    cut = film[: len(film) * 2 // 3]
    first = by_put(thrifty_client, cut, {})
    await_state(thrifty_client, first.rpartition("/")[2], "failed")
    assert by_put(thrifty_client, cut, {}) != first


# --- digests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sha-256", "sha-512"])
@pytest.mark.parametrize("header", ["Content-Digest", "Repr-Digest"])
def test_a_film_with_its_digest_is_taken(client: httpx.Client, film: bytes, header: str, name: str) -> None:
    by_put(client, film, {header: f"unixsum=:AAA=:, {digest_field(film, name)}"})


@pytest.mark.parametrize("name", ["sha-256", "sha-512"])
@pytest.mark.parametrize("header", ["Content-Digest", "Repr-Digest"])
def test_a_film_with_another_digest_is_refused_and_not_kept(
    thrifty: Server, thrifty_client: httpx.Client, film: bytes, header: str, name: str
) -> None:
    right = {"Content-Digest": digest_field(film), "Repr-Digest": digest_field(film)}
    wrong = right | {header: f"{digest_field(film)}, {digest_field(film[:-1], name)}"}
    assert_problem(put_raw(thrifty_client, film, wrong), 400, "digest_mismatch")
    assert blob_trees(thrifty) == set()
    path = by_put(thrifty_client, film, {})
    # Bytes that are here already are no reason to believe what is said of them.
    assert_problem(put_raw(thrifty_client, film, wrong), 400, "digest_mismatch")
    keeps_one(thrifty, thrifty_client, path)


@pytest.mark.parametrize("header", ["Content-Digest", "Repr-Digest"])
@pytest.mark.parametrize(
    "value", ["sha-256", "sha-256=:AAAA:", "sha-256=abc", "sha-256=:" + "A" * 42 + "!=:"]
)
def test_a_digest_that_is_none_is_refused_before_the_film_is_read(
    service: Server, header: str, value: str
) -> None:
    with RawConnection(service.port) as connection:
        headers = key(service, Content_Length=str(1000 * MIB), Expect="100-continue")
        connection.request("PUT", UPLOADS, {**headers, header: value})
        head, body = answer_of(connection)
        assert (head.status, head.headers["connection"]) == (400, "close")
        assert header.encode() in body


def test_a_form_s_digests_are_of_the_form_and_not_looked_at(client: httpx.Client, film: bytes) -> None:
    by_form(client, film, {"Content-Digest": digest_field(b"the form")})
