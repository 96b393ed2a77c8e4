"""The most memory that a service and its children hold while a block runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.server import Server

EVERY_SECONDS = 0.05


class Peak:
    """`bytes`: RssAnon + RssShmem, the most that was seen."""

    bytes = 0


@contextmanager
def peak_rss(server: Server) -> Iterator[Peak]:
    """Look at `server` and its children twenty times a second until the block is left."""
    peak, done = Peak(), threading.Event()

    def look() -> None:
        while not done.wait(EVERY_SECONDS):
            try:
                peak.bytes = max(peak.bytes, server.rss_bytes(with_children=True))
            except (FileNotFoundError, ProcessLookupError):
                continue  # a child that ended while it was looked at

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
