"""How many bodies one key may be sending at the same time: one client's hundred connections leave room for the others'."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from media_service.errors import TooManyUploads


class Bodies:
    """The upload bodies that are on their way, counted by key."""

    def __init__(self, per_key: int) -> None:
        self._per_key = per_key
        self._under_way: Counter[str] = Counter()

    @asynccontextmanager
    async def one_of(self, owner: str) -> AsyncIterator[None]:
        """Another one of that key, for as long as the block runs. Raises TooManyUploads at once: nobody waits in line here."""
        if self._under_way[owner] >= self._per_key:
            raise TooManyUploads(f"This key is sending {self._per_key} files at the same time already.")
        self._under_way[owner] += 1
        try:
            yield
        finally:
            self._under_way[owner] -= 1
            if not self._under_way[owner]:
                del self._under_way[owner]  # keys come and go
