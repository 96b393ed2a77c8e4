"""The contract of the queue that background work waits in.

Work is named by what it makes: here an asset's id. Adding what is already waiting or running changes nothing.
"""

from __future__ import annotations

from typing import Protocol


class Queue(Protocol):
    """Where assets wait for one kind of work."""

    def add(self, asset_id: str) -> None:
        """Let the work for `asset_id` be done as soon as a worker is free."""

    async def cancel(self, asset_id: str) -> None:
        """Take `asset_id` out, and end its work if it runs; returns when nothing of it runs any more."""
