"""Where a command writes what may be long: a file that is there when all of it is, or a reader who takes his time."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import click


class ReaderGone(Exception):
    """Who reads has had enough (`| head`)."""


class Output:
    """A descriptor that is opened and written to apart, so that waiting for it can be given up.

    A reader that does not read (`| less`) holds a write for as long as it likes, and nothing ends that but the end of the
    process: hence a daemon, and none of Python's own buffers, whose locks would hold up that end, too.
    """

    def __init__(self, name: str, opening: Callable[[], int]) -> None:
        self._name = name
        self._opening = opening
        self._descriptor = -1
        self._calls: SimpleQueue[tuple[Callable[[], None], Future[None]]] = SimpleQueue()
        Thread(target=self._work, name="output", daemon=True).start()

    async def open(self) -> None:
        """To be called first; of a named pipe, it returns when somebody reads. Raises OSError with the name."""
        await self._apart(self._open)

    async def write(self, piece: bytes) -> None:
        """Returns when all of it is written. Raises OSError with the name, and ReaderGone."""
        await self._apart(partial(self._write, piece))

    async def finish(self) -> None:
        """See that what was written is on the disk. Raises OSError with the name."""
        await self._apart(self._finish)

    async def _apart(self, call: Callable[[], None]) -> None:
        done: Future[None] = Future()
        self._calls.put((call, done))
        try:
            await asyncio.wrap_future(done)
        except BrokenPipeError:
            raise ReaderGone from None
        except OSError as error:
            error.filename = self._name
            raise

    def _work(self) -> None:
        while True:
            call, done = self._calls.get()
            if not done.set_running_or_notify_cancel():
                continue
            try:
                call()
            except OSError as error:
                done.set_exception(error)
            else:
                done.set_result(None)

    def _open(self) -> None:
        self._descriptor = self._opening()

    def _write(self, piece: bytes) -> None:
        left = memoryview(piece)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def _finish(self) -> None:
        os.fsync(self._descriptor)


@asynccontextmanager
async def opened(path: Path | None) -> AsyncIterator[Output]:
    """The file at `path`, the standard output without it.

    A file is its owner's alone, and until the block has ended what was there before stays; pipes and devices are written
    to as they are, and closed when the process ends. Raises OSError; click's error when there is no standard output.
    """
    if path is None:
        if sys.stdout is None:  # its number may be the catalog's by now
            raise click.ClickException("There is no standard output to write to.")
        output = Output("standard output", sys.stdout.fileno)
        await output.open()
        yield output
        return
    place = _to_be_replaced(path)
    if place is None:
        output = Output(str(path), partial(os.open, path, os.O_WRONLY | os.O_CLOEXEC))
        await output.open()
        yield output
        return
    new = place.with_name(f".{place.name}.{os.getpid()}")
    output = Output(
        str(path), partial(os.open, new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    )
    await output.open()
    try:
        yield output
        await output.finish()
        new.replace(place)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _to_be_replaced(path: Path) -> Path | None:
    """What a link names is written anew, not the link; None for what is no file: a pipe, a device."""
    return None if path.exists() and not path.is_file() else path.resolve()
