"""A file that is only looked at while its request lasts: in memory, nowhere else, and gone with the request.

Every byte is reserved before it is accepted, from the budget that uploads share; what does not fit is refused, since there
is no disk to turn to here.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from media_service.errors import Busy, EmptyUpload, UploadTooLarge
from media_service.memory.budget import Budget, Reservation
from media_service.memory.buffer import Buffer

RESERVE_STEP_BYTES = 1 << 20  # how a file grows its reservation


class MemoryIntake:
    """Opens `InMemory`s within one budget, each of at most `max_bytes`, or as much as the budget has."""

    def __init__(self, *, budget: Budget, max_bytes: int) -> None:
        self._budget = budget
        # What will never fit is too large; "busy" would have its client come back for ever.
        self.max_bytes = min(max_bytes, budget.total)

    def begin(self, announced: int | None, *, overhead: int = 0) -> InMemory:
        """A place for a body of `announced` bytes, or of unknown length. Raises UploadTooLarge, Busy.

        Up to `overhead` bytes of the body may be something else than the file (the rest of a form). Memory is reserved as
        the bytes come: who only announces many keeps nobody out.
        """
        if announced is not None and announced - overhead > self.max_bytes:
            raise UploadTooLarge(
                f"The file has {announced} bytes; at most {self.max_bytes} are accepted here."
            )
        size = min(RESERVE_STEP_BYTES if announced is None else announced, self.max_bytes)
        if size > self._budget.free:
            raise Busy("The memory for uploads is in use.")
        return InMemory(self._budget.reserve(min(size, RESERVE_STEP_BYTES)), max_bytes=self.max_bytes)


class InMemory:
    """The bytes of one file: `write` them, `finish`, read them through `fd`. A context manager that frees them."""

    def __init__(self, reservation: Reservation, *, max_bytes: int) -> None:
        self._reservation = reservation
        self._max_bytes = max_bytes
        self._buffer: Buffer | None = None

    def __enter__(self) -> Self:
        try:
            self._buffer = Buffer()
        except BaseException:
            self._reservation.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()
        self._reservation.release()

    @property
    def _held(self) -> Buffer:
        assert self._buffer is not None, "valid inside the context only"
        return self._buffer

    @property
    def fd(self) -> int:
        """A descriptor of all bytes so far, for a process that reads them by position."""
        return self._held.fd

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._held.size

    async def write(self, data: bytes) -> None:
        """Take the next bytes. Raises UploadTooLarge at the limit, Busy when the memory is used up."""
        size = self.size + len(data)
        if size > self._max_bytes:
            raise UploadTooLarge(
                f"The file has more than {self._max_bytes} bytes, which is the most accepted here."
            )
        lacking = size - self._reservation.size
        step = min(RESERVE_STEP_BYTES, self._max_bytes - self._reservation.size)
        if lacking > 0 and not self._reservation.grow(max(lacking, step)):
            raise Busy("The memory for uploads is in use.")
        self._held.append(data)

    def finish(self) -> None:
        """All bytes are here, and none changes any more. Raises EmptyUpload when there was none."""
        if self.size == 0:
            raise EmptyUpload("The file has no content; choose another one.")
        self._held.seal()
