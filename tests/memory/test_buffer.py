"""Buffers are real memfds here: children read them, seals hold, descriptors go away (the leak fixture looks)."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service import errors
from media_service.memory.buffer import Buffer


@given(st.lists(st.binary(max_size=5000), max_size=8), st.integers(0, 30_000), st.integers(0, 30_000))
def test_any_span_reads_back_as_it_was_appended(pieces: list[bytes], start: int, stop: int) -> None:
    whole = b"".join(pieces)
    with Buffer() as buffer:
        for piece in pieces:
            buffer.append(piece)
        assert buffer.size == len(whole)
        with buffer.view(start, stop) as view:
            assert view == whole[start:stop]


def test_views_of_wider_items_are_counted_in_bytes() -> None:
    with Buffer() as buffer:
        buffer.append(memoryview(b"abcdefgh").cast("I"))
        assert (buffer.size, bytes(buffer.view(0, 8))) == (8, b"abcdefgh")


def test_a_child_reads_it_from_the_start_whatever_was_appended_last() -> None:
    with Buffer() as buffer:
        buffer.append(b"the whole ")
        buffer.append(b"film")
        seen = subprocess.check_output(["cat", f"/proc/self/fd/{buffer.fd}"], pass_fds=(buffer.fd,))
        assert seen == b"the whole film"


def test_a_child_that_was_not_given_it_has_none() -> None:
    with Buffer() as buffer:
        listing = subprocess.check_output(["ls", "-l", "/proc/self/fd"], text=True)
        assert "memfd" not in listing
        assert buffer.size == 0


def test_a_sealed_buffer_takes_no_byte_more_and_loses_none() -> None:
    with Buffer() as buffer:
        buffer.append(b"done")
        buffer.seal()
        buffer.seal()
        with pytest.raises(PermissionError):
            buffer.append(b"!")
        with pytest.raises(PermissionError):
            os.ftruncate(buffer.fd, 0)
        assert buffer.size == 4
        assert bytes(buffer.view(0, 10)) == b"done"


def test_a_buffer_that_is_being_looked_at_can_be_sealed() -> None:
    with Buffer() as buffer:
        buffer.append(b"x" * 10_000)
        with buffer.view(5000, 6000) as view:
            buffer.seal()
            assert view == b"x" * 1000


def test_a_view_outlives_the_buffer() -> None:
    buffer = Buffer()
    buffer.append(b"0123456789" * 1000)
    view = buffer.view(5001, 5004)
    buffer.close()
    buffer.close()
    assert bytes(view) == b"123"
    view.release()
    with pytest.raises(ValueError, match="closed"):
        buffer.append(b"more")


@pytest.mark.parametrize("code", ["ENOMEM", "ENOSPC"])
def test_no_memory_is_busy_and_what_was_there_stays(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    number = getattr(__import__("errno"), code)

    def full(fd: int, data: memoryview, offset: int) -> int:
        raise OSError(number, code)

    with Buffer() as buffer:
        buffer.append(b"kept")
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            with pytest.raises(errors.Busy):
                buffer.append(b"lost")
        assert (buffer.size, bytes(buffer.view(0, 99))) == (4, b"kept")


def test_an_append_that_failed_half_way_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    true_pwrite = os.pwrite
    calls = 0

    def half(fd: int, data: memoryview, offset: int) -> int:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(12, "ENOMEM")
        return true_pwrite(fd, data[: len(data) // 2], offset)

    with Buffer() as buffer:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", half)
            with pytest.raises(errors.Busy):
                buffer.append(b"12345678")
        assert buffer.size == 0
        buffer.append(b"ab")
        buffer.seal()
        assert os.fstat(buffer.fd).st_size == 2


def test_without_descriptors_a_new_buffer_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(name: str, flags: int) -> int:
        raise OSError(24, "EMFILE")

    monkeypatch.setattr(os, "memfd_create", none_left)
    with pytest.raises(errors.Busy):
        Buffer()
