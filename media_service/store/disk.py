"""Calls that may wait for the disk, made in threads without ever losing track of them.

A thread cannot be interrupted, only abandoned. An abandoned write would go on into a descriptor that is closed and
given to somebody else meanwhile, so changes are always waited for. A read may be abandoned (a viewer has left) and keeps
its descriptor open until it has ended.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec, TypeVar

from media_service import errors

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

P = ParamSpec("P")
T = TypeVar("T")


async def to_its_end(work: Awaitable[T]) -> T:
    """The result of `work`, which runs to its end: a cancellation of the caller takes effect after it, not within."""
    future = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return future.result()
    if not future.cancelled():
        future.exception()  # seen: the cancellation is what the caller hears of
    raise cancelled


async def change(threads: Executor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`call(*args)` in a thread, never abandoned. A full disk becomes errors.StorageFull."""
    with no_room_is_storage_full():
        return await to_its_end(_in_thread(threads, call, *args, **kwargs))


async def obtain(threads: Executor, call: Callable[[], T], give_back: Callable[[T], object]) -> T:
    """`call()` in a thread; when the caller is cancelled meanwhile, nobody owns what it made: `give_back` takes it."""
    future = _in_thread(threads, call)
    try:
        with no_room_is_storage_full():
            return await to_its_end(future)
    except asyncio.CancelledError:
        if not future.cancelled() and future.exception() is None:
            give_back(future.result())
        raise


def _in_thread(
    threads: Executor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> asyncio.Future[T]:
    return asyncio.get_running_loop().run_in_executor(threads, partial(call, *args, **kwargs))


@contextmanager
def no_room_is_storage_full() -> Iterator[None]:
    """Turn ENOSPC and EDQUOT into errors.StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise errors.StorageFull("There is no room left on the disk of the media store.") from error
        raise


class SharedDescriptor:
    """A file descriptor that closes after the last call in a thread that uses it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._users = 1

    async def read(self, threads: Executor, call: Callable[[], T]) -> T:
        """`call()` in a thread. May be cancelled: then the call ends unheard, on a descriptor that is still open."""
        self._users += 1
        future = _in_thread(threads, call)
        future.add_done_callback(self._leave)
        return await asyncio.shield(future)

    @contextmanager
    def used(self) -> Iterator[int]:
        """The descriptor, open within the block whoever closes it meanwhile."""
        self._users += 1
        try:
            yield self.fd
        finally:
            self._leave()

    def close(self) -> None:
        """Close as soon as nothing uses it. To be called once."""
        self._leave()

    def _leave(self, _: object = None) -> None:
        self._users -= 1
        if self._users == 0:
            os.close(self.fd)
