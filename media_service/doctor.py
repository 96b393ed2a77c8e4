"""Looks at an installation: what there is, whether it works, and how well converters are fenced in."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from media_service import __version__
from media_service.ffmpeg.spawning import built
from media_service.ffmpeg.trials import trials
from media_service.settings import InvalidSettings, Settings, load, unknown
from media_service.store.blobs import DISK_MARGIN_BYTES

NEEDED = {"ffmpeg": "-version", "ffprobe": "-version", "setpriv": "--version", "prlimit": "--version"}
USEFUL = {"nginx": "-v"}  # may well run on another machine
GIB = 1 << 30
PATIENCE_SECONDS = 20.0


class Line(msgspec.Struct, frozen=True):
    """One thing found. "note" is worth knowing; "BAD" must be put right."""

    level: Literal["ok", "note", "BAD"]
    text: str


def examine(environ: Mapping[str, str]) -> list[Line]:
    """Everything, as lines to print. Changes nothing; its own trial files are gone afterwards."""
    system = f"{platform.system()} {platform.release()} on {platform.machine()}"
    found = [Line("ok", f"media_service {__version__}, Python {platform.python_version()}, {system}")]
    programs = [*_programs()]
    found += programs
    settings = Settings()
    try:
        settings = load(environ)
        found.append(Line("ok", "all settings fit"))
    except InvalidSettings as error:
        found.append(Line("BAD", str(error)))
    found += [
        Line("note", f"{name} is not a setting of this version and does nothing") for name in unknown(environ)
    ]
    found += _data(settings.data_dir)
    if all(line.level != "BAD" for line in programs):
        found += _fence(settings.data_dir)
    return found


def _programs() -> Iterator[Line]:
    for name, option in {**NEEDED, **USEFUL}.items():
        path = shutil.which(name)
        if path is None:
            missing = Line("BAD", f"{name} is not installed")
            yield missing if name in NEEDED else Line("note", f"{name} is not installed here")
            continue
        try:
            said = _said([path, option])
        except (OSError, subprocess.SubprocessError) as error:
            yield Line("BAD" if name in NEEDED else "note", f"{name} does not start: {error}")
            continue
        yield Line("ok", f"{path}: {said}")


def _said(argv: list[str]) -> str:
    """The first line that a program prints about itself. nginx writes it to its standard error."""
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS)
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines(), ""]
    return lines[0].partition(" Copyright")[0]


def _data(directory: Path) -> Iterator[Line]:
    place = _existing(directory)
    if place is None:
        yield Line("BAD", f"DATA_DIR: nothing can be made at {directory}")
        return
    free = shutil.disk_usage(place).free
    kept = f"DATA_DIR: {directory}, {free / GIB:.1f} GiB free"
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        yield Line("BAD", f"{kept}; {place} may not be written to")
    elif free < DISK_MARGIN_BYTES:
        yield Line("BAD", f"{kept}: uploads are refused")
    else:
        yield Line("ok", kept)


def _fence(data_dir: Path) -> Iterator[Line]:
    walls = built()
    yield Line("note" if walls.gaps else "ok", f"converters run behind {walls.name}")
    for gap in walls.gaps:
        yield Line("note", f"a gap, should a film take over a converter. {gap}")
    place = _existing(data_dir)
    if place is None or not os.access(place, os.W_OK | os.X_OK):
        place = Path(tempfile.gettempdir())
    try:
        # Where the films are: what keeps a converter from them is what counts.
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as directory:
            for trial in trials(Path(directory), walls):
                failed = Line("BAD" if trial.expected else "note", f"NOT SO: {trial.text}")
                yield Line("ok", trial.text) if trial.passed else failed
    except OSError as error:
        yield Line("BAD", f"the fence cannot be tried: {error}")


def _existing(directory: Path) -> Path | None:
    """`directory`, or the nearest of its parents that is there; None when that is no directory."""
    found = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    return found if found.is_dir() else None
