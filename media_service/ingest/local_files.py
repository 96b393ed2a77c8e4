"""Files that lie on this machine: found below folders, and read as they are, where they are."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from media_service.ingest.digests import FileDigest

STEP_BYTES = 64 << 20  # between two words on how far the reading is


Identity = tuple[int, int]  # device and inode


class Found(NamedTuple):
    """A file, its size in bytes, and whether somebody named it; the others were found in a folder that somebody named.

    `identity` is what it was when it was found.
    """

    path: Path
    size: int
    named: bool
    identity: Identity


class Unreadable(Exception):
    """A path that cannot be read; the text says which and why, for a person."""


class Changed(Exception):
    """The file changed while it was read."""


def find(paths: Iterable[Path], *, besides: Path, store: Path) -> Iterator[Found | Unreadable]:
    """Every regular file of `paths`, and below those that are folders; each file once, in the order of names, and what is
    named before what is found.

    Left out: all of the `store`, the tree `besides` unless it or a folder in it is named, hidden files. Links are followed
    where they are named only: in a folder that others write to they would lead to whatever this process may read.
    """
    seen: set[Identity] = set()
    hidden = {_identity(place.stat()) for place in (besides, store) if place.is_dir()}
    for path in sorted(paths, key=Path.is_dir):
        if not path.is_dir():
            yield from _once(path, None, seen)
        elif store.resolve() not in (path.resolve(), *path.resolve().parents):
            yield from _below(path, None, seen, hidden)


def _below(
    folder: Path, within: int | None, seen: set[Identity], hidden: set[Identity]
) -> Iterator[Found | Unreadable]:
    """What is in a folder, by the descriptor of the one that it is `within`, so that nobody can put a link in its place."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        if within is None:
            here = os.open(folder, flags)
        else:
            here = os.open(folder.name, flags | os.O_NOFOLLOW, dir_fd=within)
    except OSError as error:
        yield Unreadable(f"{folder}: {error.strerror}.")
        return
    try:
        if _identity(os.fstat(here)) in hidden:
            return
        with os.scandir(here) as entries:
            visible = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda each: each.name)
        folders = [entry.name for entry in visible if entry.is_dir(follow_symlinks=False)]
        for entry in visible:
            if entry.name not in folders and not entry.is_symlink():
                yield from _once(folder / entry.name, here, seen)
        for name in folders:
            yield from _below(folder / name, here, seen, hidden)
    finally:
        os.close(here)


def _once(path: Path, within: int | None, seen: set[Identity]) -> Iterator[Found | Unreadable]:
    """The file at a path that was named, or in the folder that it was found `within`."""
    named = within is None
    try:
        found = path.stat() if named else os.stat(path.name, dir_fd=within, follow_symlinks=False)
    except OSError as error:
        yield Unreadable(f"{path}: {error.strerror}.")
        return
    identity = _identity(found)
    if not stat.S_ISREG(found.st_mode):
        if named:
            yield Unreadable(f"{path} is no file.")
    elif identity not in seen:
        seen.add(identity)
        yield Found(path, found.st_size, named, identity)


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


class LocalFile:
    """A regular file, open for reading within the block; `size` as it was when it was opened.

    `told(n)` hears that n more of its bytes were read, or copied. Raises OSError when it cannot be opened, and Changed when it
    is not the one that was found, of this `identity`.
    """

    def __init__(self, path: Path, told: Callable[[int], None], *, identity: Identity | None = None) -> None:
        self.path = path
        self.told = told
        # Not to wait for somebody who writes, should it be a pipe by now.
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        self._opened = os.fstat(self.fd)
        self.size = self._opened.st_size
        if not stat.S_ISREG(self._opened.st_mode) or identity not in {None, _identity(self._opened)}:
            os.close(self.fd)
            raise Changed(f"{path} is another one than was found.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)

    async def digest(self) -> str:
        """The SHA-256 of all of it, as hex. Raises Changed, OSError."""
        running = FileDigest()
        sha256 = ""
        for start in range(0, self.size, STEP_BYTES):
            self.check()
            stop = min(start + STEP_BYTES, self.size)
            sha256 = await running.catch_up(self.fd, stop)
            self.told(stop - start)
        self.check()
        return sha256

    def check(self) -> None:
        """Raise Changed when it is another one than it was: somebody is still writing it."""
        now = os.fstat(self.fd)
        if (now.st_size, now.st_mtime_ns) != (self.size, self._opened.st_mtime_ns):
            raise Changed(f"{self.path} changed while it was read.")

    def open_to_others(self) -> str:
        """Why others than this process's user can change the bytes at any time, for a person; "" when they cannot."""
        now = os.fstat(self.fd)
        if now.st_uid != os.geteuid():
            return f"it belongs to user {now.st_uid}"
        if now.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return "others may write to it"
        return ""
