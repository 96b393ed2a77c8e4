"""Tries from inside what the fence keeps out: a real ffmpeg is told to read, write and call what it must not.

Nothing here goes by what the kernel says that it can do, but by what comes out.
"""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from media_service.ffmpeg.fence import Limits, source_url
from media_service.ffmpeg.spawning import spawn
from media_service.ffmpeg.walls import Walls

LIMITS = Limits()
PATIENCE_SECONDS = 20.0  # for one start of ffmpeg
OUTPUT_BYTES = 4096  # that are looked at; a pipe holds more


class Trial(msgspec.Struct, frozen=True):
    """One thing that was tried. `expected`: whether these walls promise it."""

    text: str
    passed: bool
    expected: bool = True


def trials(directory: Path, walls: Walls) -> Iterator[Trial]:
    """Try `walls` with canaries in `directory`, which is emptied of them again. Raises OSError when they cannot be put there."""
    secret = secrets.token_hex(16).encode()
    canary, written = directory / "canary", directory / "written"
    canary.write_bytes(secret)
    try:
        yield from _reading(canary, secret, walls)
        _converted(walls, "/dev/zero", to=f"file:{written}")
        keeps_files = walls.files != "none"
        yield Trial("a converter can make no file", not written.exists(), keeps_files)
        yield from _calling(walls)
    finally:
        canary.unlink()
        written.unlink(missing_ok=True)


def _reading(canary: Path, secret: bytes, walls: Walls) -> Iterator[Trial]:
    fd = os.open(canary, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield Trial("a converter reads its film from disk", _converted(walls, source_url(fd), fd) == secret)
    finally:
        os.close(fd)
    fd = os.memfd_create("canary", os.MFD_CLOEXEC)
    try:
        os.write(fd, secret)
        yield Trial("a converter reads its film from memory", _converted(walls, source_url(fd), fd) == secret)
        beside = _converted(walls, str(canary), fd)
        yield Trial("a converter can read no other file", secret not in beside, walls.files != "none")
    finally:
        os.close(fd)


def _calling(walls: Walls) -> Iterator[Trial]:
    silent = bool(walls.filter) or walls.files == "bubblewrap"
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        _converted(walls, f"tcp://127.0.0.1:{server.getsockname()[1]}", waits=True)
        yield Trial("a converter reaches no TCP port", not _called(server), silent or walls.version >= 4)
    # Not in `directory`: a socket's path has at most 107 bytes (unix(7)).
    with tempfile.TemporaryDirectory() as short, closing(socket.socket(socket.AF_UNIX)) as server:
        path = Path(short) / "socket"
        server.bind(str(path))
        server.listen()
        _converted(walls, f"unix:{path}", waits=True)
        yield Trial("a converter reaches no local socket", not _called(server), silent)


def _converted(walls: Walls, source: str, *source_fds: int, to: str = "pipe:1", waits: bool = False) -> bytes:
    """What ffmpeg makes of the bytes at `source`, which it copies as they are; the first of them.

    `waits`: nothing will come from there, should it be reached.
    """
    length = ("-fs", str(OUTPUT_BYTES)) if source.startswith("/dev/") else ()
    timeout = ("-rw_timeout", "1000000") if waits else ()
    argv = ["ffmpeg", "-nostdin", "-v", "quiet", *timeout, "-f", "data", "-i", source]
    return _output([*argv, "-map", "0", "-c", "copy", *length, "-f", "data", to], walls, source_fds)


def _output(argv: Sequence[str], walls: Walls, source_fds: Sequence[int]) -> bytes:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with os.fdopen(reading, "rb") as pipe:
        try:
            spawn(argv, LIMITS, source_fds=source_fds, stdout=writing, walls=walls).reap(PATIENCE_SECONDS)
        finally:
            os.close(writing)
        return pipe.read(OUTPUT_BYTES)


def _called(server: socket.socket) -> bool:
    server.settimeout(0)
    try:
        connection, _ = server.accept()
    except BlockingIOError:
        return False
    connection.close()
    return True
