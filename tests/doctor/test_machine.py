"""`doctor` on this machine, and on machines that lack something."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from media_service.doctor import machine
from media_service.doctor.findings import Finding
from media_service.doctor.machine import examine
from media_service.ffmpeg import clip_recipes
from media_service.ffmpeg.still_recipes import _FORMATS
from media_service.ffmpeg.transform_recipes import _FILMS, _PICTURES, _SOUNDS
from media_service.ffmpeg.trials import Trial
from media_service.ffmpeg.walls import Walls


def bad(lines: list[Finding]) -> list[str]:
    return [line.text for line in lines if line.level == "BAD"]


def test_a_machine_that_is_well_is_told_so(tmp_path: Path) -> None:
    environment = {**os.environ, "MEDIA_SERVICE_DATA_DIR": str(tmp_path)}
    argv = [sys.executable, "-m", "media_service", "doctor", "--json"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["well"]
    for words in (
        "ffmpeg version",
        "ffmpeg writes with libx264, aac",
        "ffmpeg reads h264, hevc",
        "converters run behind",
        "a converter reads its film",
        "GiB free",
    ):
        assert words in done.stdout
    assert "BAD" not in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_setting_that_does_not_fit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_fence", lambda _: [])
    found = examine({"MEDIA_SERVICE_PORT": "99999", "MEDIA_SERVICE_PROT": "1"})
    assert any("MEDIA_SERVICE_PORT" in text for text in bad(found))
    assert any(line.level == "note" and "MEDIA_SERVICE_PROT is not" in line.text for line in found)


def test_a_missing_ffmpeg_is_bad_and_a_missing_nginx_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    found = examine({"MEDIA_SERVICE_DATA_DIR": str(tmp_path)})
    assert bad(found) == [f"{name} is not installed" for name in ("ffmpeg", "ffprobe", "setpriv", "prlimit")]
    assert Finding("note", "nginx is not installed here") in found


def test_a_program_that_does_not_start_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = examine({"MEDIA_SERVICE_DATA_DIR": str(tmp_path)})
    assert len(bad(found)) == 1
    assert bad(found)[0].startswith("ffmpeg does not start")


def test_an_encoder_that_films_need_is_bad_to_lack_and_another_one_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_fence", lambda _: [])
    assert not [
        line for line in examine({"MEDIA_SERVICE_DATA_DIR": str(tmp_path)}) if "no encoder" in line.text
    ]
    monkeypatch.setattr(machine, "ENCODERS", {"libx999": "films", "libfoo": "pictures"})
    monkeypatch.setattr(machine, "FILM_ENCODERS", frozenset({"libx999"}))
    found = examine({"MEDIA_SERVICE_DATA_DIR": str(tmp_path)})
    assert bad(found) == ["ffmpeg has no encoder libx999: films cannot be made"]
    assert Finding("note", "ffmpeg has no encoder libfoo: pictures cannot be made") in found


def test_a_codec_that_is_not_read_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_fence", lambda _: [])
    monkeypatch.setattr(machine, "COMMON_CODECS", ("h264", "dolby_vision_9"))
    found = examine({"MEDIA_SERVICE_DATA_DIR": str(tmp_path)})
    assert Finding("ok", "ffmpeg reads h264") in found
    assert any(
        finding.level == "note" and "does not read dolby_vision_9" in finding.text for finding in found
    )


def test_every_encoder_of_a_recipe_is_looked_for() -> None:
    recipes = [*_PICTURES.values(), *_FILMS.values(), *_SOUNDS.values(), *_FORMATS.values()]
    used = {str(recipe[option]) for recipe in recipes for option in ("c:v", "c:a") if option in recipe}
    assert {*used, clip_recipes.ENCODER} == {*machine.ENCODERS}


def test_what_the_memory_keeps_from_being_transformed_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_fence", lambda _: [])
    environment = {"MEDIA_SERVICE_DATA_DIR": str(tmp_path)}
    assert not any("TRANSFORM_MAX_BYTES" in line.text for line in examine(environment))
    found = examine({**environment, "MEDIA_SERVICE_UPLOAD_MEMORY_BYTES": "1000"})
    said = "TRANSFORM_MAX_BYTES: no more than UPLOAD_MEMORY_BYTES, 1000, is transformed"
    assert Finding("note", said) in found


def test_a_data_directory_that_cannot_be_made_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_fence", lambda _: [])
    (tmp_path / "file").touch()
    assert len(bad(examine({"MEDIA_SERVICE_DATA_DIR": str(tmp_path / "file" / "media")}))) == 1
    assert not bad(examine({"MEDIA_SERVICE_DATA_DIR": str(tmp_path / "not" / "yet")}))
    assert not (tmp_path / "not").exists()


def test_a_full_disk_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_fence", lambda _: [])
    monkeypatch.setattr(machine, "DISK_MARGIN_BYTES", 1 << 62)
    found = bad(examine({"MEDIA_SERVICE_DATA_DIR": str(tmp_path)}))
    assert len(found) == 1
    assert found[0].endswith("uploads are refused")


def test_gaps_of_the_fence_are_notes_but_a_broken_promise_is_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"MEDIA_SERVICE_DATA_DIR": str(tmp_path)}
    monkeypatch.setattr(machine, "built", lambda: Walls(files="none"))
    found = examine(environment)
    assert not bad(found)
    assert Finding("note", "converters run behind limits alone") in found
    assert Finding("note", "NOT SO: a converter can read no other file") in found
    monkeypatch.setattr(Walls, "restrict", lambda *_: None)
    monkeypatch.setattr(machine, "built", lambda: Walls(files="landlock", version=7, filter="x86_64"))
    assert bad(examine(environment)) == [
        "NOT SO: a converter can read no other file",
        "NOT SO: a converter can make no file",
        "NOT SO: a converter reaches no TCP port",
        "NOT SO: a converter reaches no local socket",
    ]


def test_a_fence_that_cannot_be_tried_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> list[Trial]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(machine, "trials", full)
    assert bad(examine({"MEDIA_SERVICE_DATA_DIR": str(tmp_path)})) == [
        "the fence cannot be tried: [Errno 28] No space left on device"
    ]
