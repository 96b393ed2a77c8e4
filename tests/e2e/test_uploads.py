"""Uploads as clients make them, well and badly: what is taken, what is refused, and when."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.assets import assert_problem, await_state
from tests.support.films import Film, Films
from tests.support.forms import CONTENT_TYPE, Part, file, form, text
from tests.support.nginx import running_nginx
from tests.support.processes import wait_until
from tests.support.raw_http import RawConnection
from tests.support.server import Server, running_server
from tests.support.uploads import UPLOADS, answer_of, blob_trees, key, padded

MIB = 1 << 20
BUDGET = 16 * MIB
LIMIT = 24 * MIB


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with little memory, a low limit, and no transcoder in the way."""
    with running_server(
        tmp_path_factory.mktemp("small"),
        upload_memory_bytes=BUDGET,
        max_upload_bytes=LIMIT,
        transcode_workers=0,
    ) as running:
        yield running


@pytest.fixture
def client(small: Server) -> Iterator[httpx.Client]:
    with small.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def film(films: Films) -> bytes:
    return films.film(Film(seconds=1, moov_at_end=False)).read_bytes()


# --- the ways in ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("way", ["form", "raw"])
def test_a_film_arrives_as_it_was_sent(client: httpx.Client, film: bytes, way: str, chunked: bool) -> None:
    body = form(text("title", "A film"), file(film)) if way == "form" else film
    content = (body[start : start + 7919] for start in range(0, len(body), 7919)) if chunked else body
    if way == "form":
        answer = client.post(UPLOADS, content=content, headers={"Content-Type": CONTENT_TYPE})
    else:
        answer = client.put(UPLOADS, params={"filename": "film.mp4", "title": "A film"}, content=content)
    assert answer.status_code == 201, answer.text
    asset = answer.json()
    assert answer.headers["location"] == f"{UPLOADS}/{asset['id']}"
    assert (asset["title"], asset["filename"], asset["size"]) == ("A film", "film.mp4", len(film))
    assert asset["sha256"] == hashlib.sha256(film).hexdigest()
    playable = await_state(client, asset["id"], "playable")
    assert client.get(playable["playback"]["original"]["url"]).content == film


def test_a_client_that_waits_for_100_continue_gets_it(small: Server, film: bytes) -> None:
    with RawConnection(small.port) as connection:
        headers = key(small, Content_Length=str(len(film)), Expect="100-continue")
        connection.request("PUT", f"{UPLOADS}?filename=film.mp4", headers)
        assert connection.head().status == 100
        connection.send(film)
        assert answer_of(connection)[0].status == 201


@pytest.mark.parametrize("title_first", [True, False])
def test_the_title_may_come_before_or_after_the_file(
    client: httpx.Client, film: bytes, title_first: bool
) -> None:
    parts = [text("title", "  Zwei\r\n\tZeilen \u2014 \U0001f3ac "), file(film)]
    body = form(*(parts if title_first else reversed(parts)), text("unknown", "ignored"))
    answer = client.post(UPLOADS, content=body, headers={"Content-Type": CONTENT_TYPE})
    assert answer.json()["title"] == "Zwei Zeilen \u2014 \U0001f3ac"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd.mp4", "passwd.mp4"),
        ("C:\\\\Users\\\\me\\\\clip.mp4", "clip.mp4"),
        ("/abs/olute.mp4", "olute.mp4"),
        ("%22%0D%0Aquote.mp4", None),
        ("<script>alert(1)</script>.mp4", None),
        ("..", ""),
        ("\u540d\u524d.mp4", "\u540d\u524d.mp4"),
        ("a\x07b\x7f.mp4", "ab.mp4"),
        ("n" * 5000 + ".mp4", None),
        ("original", "original"),
    ],
)
def test_a_file_name_is_only_ever_data(
    small: Server, client: httpx.Client, film: bytes, sent: str, kept: str | None
) -> None:
    before = {path for path in small.data_dir.parent.rglob("*") if "blobs" not in path.parts}
    body = form(file(film, sent))
    answer = client.post(UPLOADS, content=body, headers={"Content-Type": CONTENT_TYPE})
    assert answer.status_code == 201, answer.text
    asset = answer.json()
    assert len(asset["filename"].encode()) <= 255
    assert not set(asset["filename"]) & set("/\\\r\n\0")
    assert kept is None or asset["filename"] == kept
    assert asset["title"]
    assert {path.name for path in (small.data_dir / "blobs" / asset["id"]).iterdir()} >= {"original"}
    assert {path for path in small.data_dir.parent.rglob("*") if "blobs" not in path.parts} == before


def test_a_raw_upload_s_name_is_only_ever_data(client: httpx.Client, film: bytes) -> None:
    answer = client.put(UPLOADS, params={"filename": "../..\\\r\nSet-Cookie: x=\0.mp4"}, content=film)
    assert answer.status_code == 201
    assert not set(answer.json()["filename"]) & set("/\\\r\n\0")


# --- forms and bodies that are refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [
        [text("title", "no file")],
        [file(b"x" * 100), file(b"y" * 100)],
        [file(b"x" * 100, name="upload")],
        [text("title", "t" * 100_000), file(b"x" * 100)],
        [*(text(f"field{number}", "x") for number in range(100)), file(b"x" * 100)],
        [],
    ],
    ids=["no file", "two files", "another field", "endless title", "a hundred fields", "nothing"],
)
def test_a_form_that_is_none_of_ours_is_refused(
    small: Server, client: httpx.Client, parts: list[Part]
) -> None:
    before = blob_trees(small)
    answer = client.post(UPLOADS, content=form(*parts), headers={"Content-Type": CONTENT_TYPE})
    assert_problem(answer, 400, "malformed_form")
    assert blob_trees(small) == before


@pytest.mark.parametrize("cut", [1, 5, 60, 200])
def test_a_form_without_its_end_is_refused(client: httpx.Client, film: bytes, cut: int) -> None:
    body = form(file(film)).removesuffix(b"\r\n")[:-cut]
    answer = client.post(UPLOADS, content=body, headers={"Content-Type": CONTENT_TYPE})
    assert_problem(answer, 400, "malformed_form")


@pytest.mark.parametrize(
    ("method", "content_type", "code"),
    [
        ("POST", "application/json", "unsupported_body"),
        ("POST", "video/mp4", "unsupported_body"),
        ("POST", "", "unsupported_body"),
        ("POST", "multipart/form-data", "malformed_form"),
        ("POST", "multipart/form-data; boundary=", "malformed_form"),
        ("PUT", CONTENT_TYPE, "unsupported_body"),
    ],
)
def test_a_body_of_the_wrong_kind_is_refused(
    client: httpx.Client, film: bytes, method: str, content_type: str, code: str
) -> None:
    answer = client.request(method, UPLOADS, content=form(file(film)), headers={"Content-Type": content_type})
    assert_problem(answer, 415 if code == "unsupported_body" else 400, code)


def test_a_partial_put_is_refused(client: httpx.Client, film: bytes) -> None:
    answer = client.put(UPLOADS, content=film, headers={"Content-Range": f"bytes 0-{len(film) - 1}/*"})
    assert_problem(answer, 400, "invalid_request")


def test_an_empty_file_is_refused_whichever_way_it_comes(client: httpx.Client) -> None:
    assert_problem(client.put(UPLOADS, content=b""), 422, "empty_upload")
    assert_problem(client.put(UPLOADS, content=iter([b""])), 422, "empty_upload")
    answer = client.post(UPLOADS, content=form(file(b"")), headers={"Content-Type": CONTENT_TYPE})
    assert_problem(answer, 422, "empty_upload")


# --- refused before the body is read --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic YTpi"])
def test_without_a_key_no_byte_of_the_body_is_read(
    small: Server, method: str, authorization: str | None
) -> None:
    headers = {"Content-Length": "1000000", "Content-Type": CONTENT_TYPE, "Expect": "100-continue"}
    with RawConnection(small.port) as connection:
        connection.request(
            method, UPLOADS, headers | ({"Authorization": authorization} if authorization else {})
        )
        head, body = answer_of(connection)
        assert head.status == 401  # and no 100 before it
        assert head.headers["www-authenticate"].startswith("Bearer")
        assert b'"code":"unauthorized"' in body
        # Nobody could tell a body that comes all the same from the next request.
        assert head.headers["connection"] == "close"


@pytest.mark.parametrize(("method", "over"), [("PUT", 1), ("POST", 1 << 30)])
def test_an_upload_announced_too_large_is_refused_before_its_body(
    small: Server, method: str, over: int
) -> None:
    headers = key(small, Content_Length=str(LIMIT + over), Content_Type=CONTENT_TYPE, Expect="100-continue")
    with RawConnection(small.port) as connection:
        if method == "PUT":
            headers["Content-Type"] = "video/mp4"
        connection.request(method, UPLOADS, headers)
        head, body = answer_of(connection)
        assert head.status == 413
        assert b'"code":"upload_too_large"' in body


@pytest.mark.parametrize("length", [None, LIMIT + 1, 1 << 40])
def test_a_client_that_sends_all_the_same_is_cut_off(small: Server, length: int | None) -> None:
    """Also one without a key: whoever does not listen must not keep the service busy."""
    headers = key(small) if length is None or length > LIMIT + 1 else {}
    headers |= {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
    headers["Content-Type"] = "video/mp4"
    sent = 0
    with RawConnection(small.port) as connection:
        connection.request("PUT", UPLOADS, headers)
        send = connection.send_chunk if length is None else connection.send
        with suppress(BrokenPipeError, ConnectionResetError):
            while sent < 20 * LIMIT:
                send(bytes(MIB))
                sent += MIB
        assert connection.head().status == (413 if headers.get("Authorization") else 401)
    # What was refused, and what two sockets and the service's goodwill hold.
    assert sent < LIMIT + 32 * MIB
    wait_until(lambda: small.memfd_bytes() == 0, 10, "its memory is free")


def test_a_file_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(
    client: httpx.Client, film: bytes
) -> None:
    exact, over = padded(film, LIMIT), padded(film, LIMIT + 1)
    assert client.put(UPLOADS, content=exact).status_code == 201
    assert client.put(UPLOADS, content=iter([exact])).status_code == 201
    headers = {"Content-Type": CONTENT_TYPE}
    answer = client.post(UPLOADS, content=form(file(exact)), headers=headers)
    assert answer.status_code == 201
    assert answer.json()["sha256"] == hashlib.sha256(exact).hexdigest()
    assert_problem(client.put(UPLOADS, content=over), 413, "upload_too_large")
    assert_problem(client.post(UPLOADS, content=form(file(over)), headers=headers), 413, "upload_too_large")


def test_refusals_come_through_nginx_too(small: Server, tmp_path: Path) -> None:
    def put(content: bytes | Iterator[bytes], token: str) -> httpx.Response:
        # A connection each: nginx closes one on which it answered before the end of the body.
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.put(f"{nginx.url}{UPLOADS}", content=content, headers=headers, timeout=30)

    with running_nginx(tmp_path / "nginx", small.port) as nginx:
        for _ in range(5):
            assert_problem(put(bytes(4 * MIB), "wrong"), 401, "unauthorized")
            assert_problem(put(bytes(LIMIT + 1), small.token), 413, "upload_too_large")
        assert_problem(put(iter([bytes(MIB)] * 30), small.token), 413, "upload_too_large")
