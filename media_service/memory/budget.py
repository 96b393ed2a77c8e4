"""Admission by reservation: bytes are promised before they are accepted.

Pages of a memfd count against the container's memory, and a kernel that runs out of it kills instead of saying so. Used from
the event loop's thread only, so nothing here locks.
"""

from __future__ import annotations

from types import TracebackType

from media_service import errors


class Budget:
    """`total` bytes that reservations share."""

    def __init__(self, total: int) -> None:
        """A budget of `total` bytes; 0 admits nothing but empty reservations."""
        if total < 0:
            raise ValueError("a budget is not negative")
        self.total = total
        self._reserved = 0

    @property
    def free(self) -> int:
        """Bytes that nobody has reserved."""
        return self.total - self._reserved

    def reserve(self, size: int) -> Reservation:
        """Promise `size` bytes. Raises Busy when they are not free."""
        reservation = Reservation(self)
        if not reservation.grow(size):
            raise errors.Busy("The memory for uploads is in use.")
        return reservation

    def _take(self, size: int) -> bool:
        if size > self.free:
            return False
        self._reserved += size
        return True


class Reservation:
    """Bytes promised to one upload, until `release()` or the end of its block."""

    def __init__(self, budget: Budget) -> None:
        """Nothing yet. Made by `Budget.reserve`."""
        self._budget: Budget | None = budget
        self.size = 0  # bytes

    def grow(self, size: int) -> bool:
        """Promise `size` bytes more; False, and nothing changed, when they are not free or all is released already."""
        if size < 0:
            raise ValueError("a reservation only grows")
        if self._budget is None or not self._budget._take(size):  # noqa: SLF001 - two halves of one thing
            return False
        self.size += size
        return True

    def release(self) -> None:
        """Give all of it back. May be called twice."""
        if self._budget is not None:
            self._budget._take(-self.size)  # noqa: SLF001 - two halves of one thing
            self._budget, self.size = None, 0

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
