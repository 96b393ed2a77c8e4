"""How often somebody may try to sign in: enough for a person who mistypes, not for a program that guesses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

from media_service.errors import TooManyAttempts

WINDOW_SECONDS = float(TooManyAttempts.retry_after or 0)
PER_CLIENT = 10
# Of all clients together, for those who have many addresses. It also bounds what is remembered.
OVERALL = 100


class Attempts:
    """The failed attempts of the last WINDOW_SECONDS, and those under way. `now` counts seconds."""

    def __init__(self, *, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._made: deque[tuple[float, str]] = deque()

    def begin(self, client: str) -> None:
        """An attempt is about to be made; it counts as failed until it is forgiven. Raises TooManyAttempts."""
        oldest = self._now() - WINDOW_SECONDS
        while self._made and self._made[0][0] <= oldest:
            self._made.popleft()
        if len(self._made) >= OVERALL or sum(who == client for _, who in self._made) >= PER_CLIENT:
            raise TooManyAttempts("There were too many wrong tokens. Wait a minute, then try again.")
        self._made.append((self._now(), client))

    def forgive(self, client: str) -> None:
        """An attempt of the client was none: the token was right."""
        for number in range(len(self._made) - 1, -1, -1):
            if self._made[number][1] == client:
                del self._made[number]
                return
