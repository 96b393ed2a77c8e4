"""Heads of responses as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.server import heads
from media_service.server.heads import head


def test_a_head_has_its_status_its_headers_and_its_prepared_lines_in_their_order() -> None:
    defaults = [(b"Date", b"today")]
    for _ in range(2):
        block, length, chunked, closes = head(
            206, [(b"Content-Length", b"5"), (b"etag", b'"x"')], b"server: none\r\n", defaults
        )
        assert (
            block == b"HTTP/1.1 206 Partial Content\r\ndate: today\r\n"
            b'content-length: 5\r\netag: "x"\r\nserver: none\r\n'
        )
    assert (length, chunked, closes) == (5, False, False)


def test_what_frames_the_response_is_told() -> None:
    assert head(200, [])[1:] == (None, False, False)
    assert head(200, [(b"Transfer-Encoding", b"Chunked")])[1:] == (None, True, False)
    assert head(200, [(b"connection", b"keep-alive")])[1:] == (None, False, False)
    assert head(200, [(b"connection", b"x, Close")])[1:] == (None, False, True)


def test_a_status_without_a_name_is_one_too() -> None:
    assert head(599, [])[0] == b"HTTP/1.1 599 \r\n"


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", b"\xe4", b"a\0"])
def test_a_name_that_is_none_is_refused(name: bytes) -> None:
    with pytest.raises(RuntimeError, match="name"):
        head(200, [(name, b"x")])


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_no_value_breaks_its_line(first: bytes, second: bytes) -> None:
    try:
        block = head(200, [(b"a", first), (b"b", second)])[0]
    except RuntimeError:
        assert any((byte < 0x20 and byte != 0x09) or byte == 0x7F for byte in first + second)
    else:
        assert block == b"HTTP/1.1 200 OK\r\na: %b\r\nb: %b\r\n" % (first, second)
        assert block.count(b"\n") == block.count(b"\r") == 3


def test_names_that_are_made_up_do_not_fill_the_memory() -> None:
    for number in range(heads._KEPT_NAMES + 10):
        head(200, [(b"x-%d" % number, b"")])
    assert len(heads._names) <= heads._KEPT_NAMES
