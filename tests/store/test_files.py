from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from media_service.store import files


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
