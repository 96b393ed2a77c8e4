"""Looks at an installation from inside: what there is, whether it works, and how well converters are fenced in."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from media_service import __version__
from media_service.doctor.findings import Finding, Level
from media_service.ffmpeg.spawning import built
from media_service.ffmpeg.trials import trials
from media_service.settings import InvalidSettings, Settings, load, unknown
from media_service.store.blobs import DISK_MARGIN_BYTES

NEEDED = {"ffmpeg": "-version", "ffprobe": "-version", "setpriv": "--version", "prlimit": "--version"}
USEFUL = {"nginx": "-v"}  # may well run on another machine
# Encoders of ffmpeg -> what cannot be made without them.
ENCODERS = {
    "libx264": "films",
    "aac": "the sound of films",
    "mjpeg": "stills",
    "libwebp": "WebP stills and transforms, and the placeholders of posters,",
    "libwebp_anim": "clips",
    "libaom-av1": "AVIF stills",
    "png": "transforms to PNG",
    "gif": "transforms to GIF",
    "libvpx-vp9": "transforms to WebM",
    "libopus": "the sound of transforms to WebM",
    "libmp3lame": "transforms to MP3",
}
# What films come in; ffmpeg's names of codecs.
COMMON_CODECS = (
    *("h264", "hevc", "av1", "vp9", "vp8", "mpeg2video", "mpeg4", "prores", "mjpeg"),
    *("aac", "mp3", "opus", "vorbis", "flac", "ac3", "eac3", "pcm_s16le"),
)
FILM_ENCODERS = frozenset({"libx264", "aac", "mjpeg"})
GIB = 1 << 30
PATIENCE_SECONDS = 20.0


def examine(environ: Mapping[str, str]) -> list[Finding]:
    """Everything, as lines to print. Changes nothing; its own trial files are gone afterwards."""
    system = f"{platform.system()} {platform.release()} on {platform.machine()}"
    found = [Finding("ok", f"media_service {__version__}, Python {platform.python_version()}, {system}")]
    programs = [*_programs()]
    if all(line.level != "BAD" for line in programs):
        programs += [*_encoders(), *_decoders()]
    found += programs
    settings = Settings()
    try:
        settings = load(environ)
        found.append(Finding("ok", "all settings fit"))
        found += _unmet(settings)
    except InvalidSettings as error:
        found.append(Finding("BAD", str(error)))
    found += [
        Finding("note", f"{name} is not a setting of this version and does nothing")
        for name in unknown(environ)
    ]
    found += _data(settings.data_dir)
    if all(line.level != "BAD" for line in programs):
        found += _fence(settings.data_dir)
    return found


def _unmet(settings: Settings) -> Iterator[Finding]:
    """Settings that others keep from having their effect."""
    if settings.transform_max_bytes > (most := settings.upload_memory_bytes):
        yield Finding(
            "note", f"TRANSFORM_MAX_BYTES: no more than UPLOAD_MEMORY_BYTES, {most}, is transformed"
        )


def _programs() -> Iterator[Finding]:
    for name, option in {**NEEDED, **USEFUL}.items():
        path = shutil.which(name)
        if path is None:
            missing = Finding("BAD", f"{name} is not installed")
            yield missing if name in NEEDED else Finding("note", f"{name} is not installed here")
            continue
        try:
            said = _said([path, option])
        except (OSError, subprocess.SubprocessError) as error:
            yield Finding("BAD" if name in NEEDED else "note", f"{name} does not start: {error}")
            continue
        yield Finding("ok", f"{path}: {said}")


def _encoders() -> Iterator[Finding]:
    """What the installed ffmpeg writes and lacks; distributions build it with more or less."""
    known = {words[1] for line in _listing("-encoders") if len(words := line.split()) > 1}
    there = [name for name in ENCODERS if name in known]
    if there:
        yield Finding("ok", f"ffmpeg writes with {', '.join(there)}")
    for name, what in ENCODERS.items():
        if name not in known:
            level: Level = "BAD" if name in FILM_ENCODERS else "note"
            yield Finding(level, f"ffmpeg has no encoder {name}: {what} cannot be made")


def _decoders() -> Iterator[Finding]:
    """Which of the codecs that films come in the installed ffmpeg reads: "D" is the first of a codec's marks."""
    known = {
        words[1] for line in _listing("-codecs") if len(words := line.split()) > 1 and words[0][0] == "D"
    }
    yield Finding(
        "ok", f"ffmpeg reads {', '.join(name for name in COMMON_CODECS if name in known) or 'nothing'}"
    )
    for name in COMMON_CODECS:
        if name not in known:
            yield Finding(
                "note", f"ffmpeg does not read {name}: films with it are refused, or play without it"
            )


def _listing(option: str) -> list[str]:
    argv = ["ffmpeg", "-hide_banner", option]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS)
    return done.stdout.splitlines()


def _said(argv: list[str]) -> str:
    """The first line that a program prints about itself. nginx writes it to its standard error."""
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS)
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines(), ""]
    return lines[0].partition(" Copyright")[0]


def _data(directory: Path) -> Iterator[Finding]:
    place = _existing(directory)
    if place is None:
        yield Finding("BAD", f"DATA_DIR: nothing can be made at {directory}")
        return
    free = shutil.disk_usage(place).free
    kept = f"DATA_DIR: {directory}, {free / GIB:.1f} GiB free"
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("BAD", f"{kept}; {place} may not be written to")
    elif free < DISK_MARGIN_BYTES:
        yield Finding("BAD", f"{kept}: uploads are refused")
    else:
        yield Finding("ok", kept)


def _fence(data_dir: Path) -> Iterator[Finding]:
    walls = built()
    yield Finding("note" if walls.gaps else "ok", f"converters run behind {walls.name}")
    for gap in walls.gaps:
        yield Finding("note", f"a gap, should a film take over a converter. {gap}")
    place = _existing(data_dir)
    if place is None or not os.access(place, os.W_OK | os.X_OK):
        place = Path(tempfile.gettempdir())
    try:
        # Where the films are: what keeps a converter from them is what counts.
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as directory:
            for trial in trials(Path(directory), walls):
                failed = Finding("BAD" if trial.expected else "note", f"NOT SO: {trial.text}")
                yield Finding("ok", trial.text) if trial.passed else failed
    except OSError as error:
        yield Finding("BAD", f"the fence cannot be tried: {error}")


def _existing(directory: Path) -> Path | None:
    """`directory`, or the nearest of its parents that is there; None when that is no directory."""
    found = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    return found if found.is_dir() else None
