"""What nginx is told to send by itself, and what never."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.web.accel import Accel
from media_service.web.cors import CORS
from media_service.wire.delivery import plan
from media_service.wire.forwarded import UNIX, read_networks
from media_service.wire.representation import BlobExtent, Extent, MemoryExtent, Representation

Asked = list[tuple[bytes, bytes]]
SIZE = 1000
BLOB = BlobExtent("film/original", 0, SIZE)
CACHED = (("Cache-Control", "public, immutable"),)
OFFER = (b"x-accel-mapping", b"/_blobs/")
PROXY = ("127.0.0.1", 50000)
ACCEL = Accel("/_blobs/", read_networks("127.0.0.1"))


def redirected(
    asked: Asked,
    *extents: Extent,
    method: str = "GET",
    client: tuple[str, int] | None = PROXY,
    stored: int = SIZE,
    extra: Asked | None = None,
    accel: Accel = ACCEL,
) -> dict[bytes, bytes] | None:
    representation = Representation(extents or (BLOB,), "video/mp4", "tag", 1, CACHED)
    delivery = plan(method, asked, representation)
    scope: Any = {"type": "http", "method": method, "headers": asked, "client": client}
    headers = [*delivery.headers, *CORS, *(extra or [])]
    told = accel.redirected(scope, delivery, headers, lambda _: stored)
    assert told is None or len(dict(told)) == len(told)
    return None if told is None else dict(told)


def test_a_whole_file_is_told_with_all_that_is_said_of_it() -> None:
    assert redirected([OFFER]) == {
        b"x-accel-redirect": b"/_blobs/film/original",
        b"content-length": b"0",
        b"content-type": b"video/mp4",
        b"etag": b'"tag"',
        b"last-modified": b"Thu, 01 Jan 1970 00:00:01 GMT",
        b"x-kept-cache-control": b"public, immutable",
        b"access-control-expose-headers": CORS[0][1],
    }


@pytest.mark.parametrize("value", [b"bytes=0-0", b"bytes=5-", b"bytes=-7", b"bytes=0-999999", b"bytes=999-"])
def test_one_range_is_nginxs_to_cut(value: bytes) -> None:
    told = redirected([OFFER, (b"range", value)])
    assert told is not None
    assert told[b"x-kept-accept-ranges"] == b"bytes"
    assert not {b"content-range", b"accept-ranges"} & told.keys()


def test_the_name_under_which_a_download_is_kept_comes_along() -> None:
    told = redirected([OFFER], extra=[(b"content-disposition", b"attachment")])
    assert told is not None
    assert told[b"x-kept-content-disposition"] == b"attachment"


@pytest.mark.parametrize(
    "value",
    [
        b"bytes=0-1,5-6",
        b"bytes=0-1,",
        b"bytes= 0-1",
        b"Bytes=0-1",
        b"bytes=0-9999999999999999999",
        b"bytes=1000-",
        b"bytes=-0",
        b"bytes=5-3",
        b"bytes=",
        b"lines=0-1",
        b"bytes=0-1,1-500",
    ],
)
def test_a_range_that_could_be_read_in_two_ways_is_ours(value: bytes) -> None:
    assert redirected([OFFER, (b"range", value)]) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"if-match", b'"tag"'),
        (b"if-match", b"*"),
        (b"if-unmodified-since", b"Thu, 01 Jan 1970 00:00:01 GMT"),
        (b"if-range", b'"tag"'),
        (b"if-range", b'"old"'),
    ],
)
def test_what_nginx_would_judge_by_the_files_own_times_is_ours(name: bytes, value: bytes) -> None:
    assert redirected([OFFER, (name, value)]) is None
    assert redirected([OFFER, (b"range", b"bytes=0-1"), (name, value)]) is None


@pytest.mark.parametrize(("value", "sent"), [(b'"tag"', False), (b"*", False), (b'"old"', True)])
def test_what_the_client_has_is_not_sent_again(value: bytes, sent: bool) -> None:
    assert (redirected([OFFER, (b"if-none-match", value)]) is not None) == sent


@pytest.mark.parametrize(
    "extents",
    [
        (MemoryExtent(b"x" * SIZE),),
        (BlobExtent("film/original-header", 0, 10), BlobExtent("film/original", 40, SIZE)),
        (BlobExtent("film/previews/1", 0, SIZE - 1),),  # the first tile of several
        (BlobExtent("film/previews/1", 1, SIZE),),
        (BlobExtent("film/empty", 0, 0),),
    ],
)
def test_what_is_not_one_whole_file_is_ours(extents: tuple[Extent, ...]) -> None:
    assert redirected([OFFER], *extents) is None


def test_a_file_of_another_length_than_it_should_have_is_ours() -> None:
    assert redirected([OFFER], stored=SIZE - 1) is None
    assert redirected([OFFER], stored=SIZE + 1) is None


def test_head_is_ours() -> None:
    assert redirected([OFFER], method="HEAD") is None


@pytest.mark.parametrize(
    "offers",
    [
        [],
        [(b"x-accel-mapping", b"")],
        [(b"x-accel-mapping", b"/other/")],
        [(b"x-accel-mapping", b"/_blobs/x")],
        [OFFER, OFFER],
        [(b"x-accel-mapping", b""), OFFER],
    ],
)
def test_only_an_nginx_that_says_it_has_these_files_is_told(offers: Asked) -> None:
    assert redirected(offers) is None


@pytest.mark.parametrize("client", [None, ("192.0.2.1", 1), ("unix:x", 0), ("", 0)])
def test_a_client_that_writes_what_nginx_writes_gets_the_film(client: tuple[str, int] | None) -> None:
    assert redirected([OFFER], client=client) is None


def test_whoever_comes_by_the_unix_socket_is_nginx() -> None:
    assert redirected([OFFER], client=(UNIX, 0)) is not None


@pytest.mark.parametrize("name", [b"vary", b"x-frame-time", b"set-cookie", b"content-type"])
def test_a_header_that_nginx_would_not_pass_on_makes_the_answer_ours(name: bytes) -> None:
    assert redirected([OFFER], extra=[(name, b"x")]) is None


def test_an_address_cannot_leave_the_directory() -> None:
    for key in ("../admin-token", "film/../../catalog.sqlite3", "/etc/passwd", "film/%2e%2e/x", "film/x\n"):
        with pytest.raises(ValueError, match="not a blob key"):
            redirected([OFFER], BlobExtent(key, 0, SIZE))


@given(st.binary(max_size=40))
def test_whatever_range_is_told_on_is_one_that_both_read_alike(value: bytes) -> None:
    told = redirected([OFFER, (b"range", b"bytes=" + value)])
    if told is not None:
        first, _, last = value.partition(b"-")
        assert (first + last).isdigit()
        assert b"x-kept-accept-ranges" in told
