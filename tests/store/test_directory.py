"""One service at a time owns a data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from media_service.store.directory import DirectoryUnusable, owned


def test_a_directory_is_made_and_owned(tmp_path: Path) -> None:
    with owned(tmp_path / "new" / "media"):
        assert (tmp_path / "new" / "media").is_dir()


def test_a_directory_that_was_made_survives_a_loss_of_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())))
    with owned(tmp_path / "new" / "media"):
        assert set(synced) == {str(tmp_path), str(tmp_path / "new")}


def test_a_second_owner_is_refused_in_words(tmp_path: Path) -> None:
    with (
        owned(tmp_path),
        pytest.raises(DirectoryUnusable, match="Another service already uses"),
        owned(tmp_path),
    ):
        pass


def test_a_directory_that_was_let_go_can_be_owned_again(tmp_path: Path) -> None:
    for _ in range(2):
        with owned(tmp_path):
            pass


def test_an_owner_that_was_killed_leaves_nothing_stale(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from media_service.store.directory import owned
with owned(Path({str(tmp_path)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with owned(tmp_path):
        pass


def test_a_place_where_nothing_can_be_made_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DirectoryUnusable, match="cannot be used"), owned(tmp_path / "file" / "media"):
        pass
