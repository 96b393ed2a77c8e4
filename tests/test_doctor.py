"""`doctor` on this machine, and on machines that lack something."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from media_service import doctor
from media_service.doctor import Line, examine
from media_service.ffmpeg.trials import Trial
from media_service.ffmpeg.walls import Walls


def bad(lines: list[Line]) -> list[str]:
    return [line.text for line in lines if line.level == "BAD"]


def test_a_machine_that_is_well_is_told_so(tmp_path: Path) -> None:
    environment = {**os.environ, "MEDIA_SERVICE_DATA_DIR": str(tmp_path)}
    argv = [sys.executable, "-m", "media_service", "doctor"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
    for words in ("ffmpeg version", "converters run behind", "a converter reads its film", "GiB free"):
        assert words in done.stdout
    assert "BAD" not in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_setting_that_does_not_fit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_fence", lambda _: [])
    found = examine({"MEDIA_SERVICE_PORT": "99999", "MEDIA_SERVICE_PROT": "1"})
    assert any("MEDIA_SERVICE_PORT" in text for text in bad(found))
    assert any(line.level == "note" and "MEDIA_SERVICE_PROT is not" in line.text for line in found)


def test_a_missing_ffmpeg_is_bad_and_a_missing_nginx_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    found = examine({"MEDIA_SERVICE_DATA_DIR": str(tmp_path)})
    assert bad(found) == [f"{name} is not installed" for name in ("ffmpeg", "ffprobe", "setpriv", "prlimit")]
    assert Line("note", "nginx is not installed here") in found


def test_a_program_that_does_not_start_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = examine({"MEDIA_SERVICE_DATA_DIR": str(tmp_path)})
    assert len(bad(found)) == 1
    assert bad(found)[0].startswith("ffmpeg does not start")


def test_a_data_directory_that_cannot_be_made_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_fence", lambda _: [])
    (tmp_path / "file").touch()
    assert len(bad(examine({"MEDIA_SERVICE_DATA_DIR": str(tmp_path / "file" / "media")}))) == 1
    assert not bad(examine({"MEDIA_SERVICE_DATA_DIR": str(tmp_path / "not" / "yet")}))
    assert not (tmp_path / "not").exists()


def test_a_full_disk_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_fence", lambda _: [])
    monkeypatch.setattr(doctor, "DISK_MARGIN_BYTES", 1 << 62)
    found = bad(examine({"MEDIA_SERVICE_DATA_DIR": str(tmp_path)}))
    assert len(found) == 1
    assert found[0].endswith("uploads are refused")


def test_gaps_of_the_fence_are_notes_but_a_broken_promise_is_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"MEDIA_SERVICE_DATA_DIR": str(tmp_path)}
    monkeypatch.setattr(doctor, "built", lambda: Walls(files="none"))
    found = examine(environment)
    assert not bad(found)
    assert Line("note", "converters run behind limits alone") in found
    assert Line("note", "NOT SO: a converter can read no other file") in found
    monkeypatch.setattr(Walls, "restrict", lambda *_: None)
    monkeypatch.setattr(doctor, "built", lambda: Walls(files="landlock", version=7, filter="x86_64"))
    assert bad(examine(environment)) == [
        "NOT SO: a converter can read no other file",
        "NOT SO: a converter can make no file",
        "NOT SO: a converter reaches no TCP port",
        "NOT SO: a converter reaches no local socket",
    ]


def test_a_fence_that_cannot_be_tried_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> list[Trial]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(doctor, "trials", full)
    assert bad(examine({"MEDIA_SERVICE_DATA_DIR": str(tmp_path)})) == [
        "the fence cannot be tried: [Errno 28] No space left on device"
    ]
