from __future__ import annotations

import errno
import os
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_service.store import files

DATA = bytes(number * 7 % 253 for number in range(50_000))


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_a_read_that_would_wait_reads_nothing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "preadv", refuse)
    assert files.read_cached(0, memoryview(bytearray(4)), 0) == 0


def test_an_error_of_the_disk_is_not_taken_for_a_cold_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(OSError, match="input/output"):
        files.read_cached(0, memoryview(bytearray(4)), 0)


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
@pytest.mark.parametrize(
    ("of", "can_tell"),
    [("tmpfs", True), ("ramfs", True), ("nfs4", False), ("fuse.glusterfs", False), ("", False)],
)
def test_a_file_system_that_cannot_tell_what_is_cached_is_one_of_memory_or_is_waited_for(
    number: int, of: str, can_tell: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "preadv", refuse)
    monkeypatch.setattr(files, "file_system_of", lambda device: of)
    with TemporaryFile() as file:
        assert files.can_tell_cached(file.fileno()) is can_tell


@pytest.mark.parametrize("number", [0, errno.EAGAIN, errno.EIO])
def test_what_is_told_or_fails_by_itself_needs_no_look_at_the_file_system(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(*_: object) -> int:
        if number:
            raise OSError(number, os.strerror(number))
        return 1

    monkeypatch.setattr(os, "preadv", tell)
    assert files.can_tell_cached(-1)


def test_file_systems_are_known_by_their_devices() -> None:
    assert files.file_system_of(Path("/proc").stat().st_dev) == "proc"
    assert files.file_system_of(os.makedev(4095, 1 << 19)) == ""


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 40_000), st.integers(0, 20_000)).map(lambda at: (at[0], at[0] + at[1])),
        max_size=30,
    ),
    st.booleans(),
)
def test_any_spans_are_gathered_from_the_cache_or_without_it(
    spans: list[tuple[int, int]], ordered: bool
) -> None:
    spans = sorted(spans) if ordered else spans
    wanted = b"".join(DATA[start:stop] for start, stop in spans)
    whole = sum(stop - start for start, stop in spans) == len(wanted)  # none ends beyond the end
    into, again = bytearray(sum(stop - start for start, stop in spans)), bytearray(len(wanted))
    with TemporaryFile(buffering=0) as file:
        file.write(DATA)
        # Not every file system can tell what is cached.
        assert not files.gather_cached(file.fileno(), memoryview(into), spans) or (whole and into == wanted)
        if whole:
            files.gather_all(file.fileno(), memoryview(again), spans)
            assert again == wanted
        else:
            with pytest.raises(EOFError):
                files.gather_all(file.fileno(), memoryview(into), spans)


def test_what_lies_close_together_is_one_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(200_000))
    calls: list[int] = []
    real = os.preadv

    def counted(fd: int, into: list[memoryview], position: int, flags: int) -> int:
        calls.append(position)
        return real(fd, into, position, flags)

    monkeypatch.setattr(os, "preadv", counted)
    spans = [(start, start + 50) for start in range(1000, 11_000, 100)]
    far = (11_000 + files.GAP_BYTES + 1000, 11_000 + files.GAP_BYTES + 1001)
    with path.open("rb") as file:
        assert files.gather_cached(file.fileno(), memoryview(bytearray(5001)), [*spans, far])
    assert calls == [1000, far[0]]


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EIO])
def test_gathering_never_waits_and_tells_of_errors(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "preadv", refuse)
    with nullcontext() if number == errno.EAGAIN else pytest.raises(OSError, match="error"):
        assert not files.gather_cached(0, memoryview(bytearray(4)), [(0, 2), (2, 4)])


def test_reading_goes_on_over_short_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(range(100)))
    real = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, into, position: real(fd, [into[0][:7]], position))
    with path.open("rb") as file:
        into = bytearray(60)
        assert files.read_all(file.fileno(), memoryview(into), 20) == 60
        assert into == bytes(range(20, 80))
        assert files.read_all(file.fileno(), memoryview(into), 90) == 10


def test_made_directories_are_synced_into_the_one_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_directory", synced.append)
    files.make_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert synced == [tmp_path / "a", tmp_path]
    files.make_directory(tmp_path / "a" / "b")
    assert len(synced) == 2


def test_burying_takes_files_directories_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "a").write_bytes(b"x")
    (tmp_path / "file").write_bytes(b"x")
    for name in ("tree", "file", "absent"):
        files.bury(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
