"""The contract of the blob store: bytes under a key, growing until they are sealed, or there all at once.

A key is a relative POSIX path; its first segment (the tree) is the asset's id. The store does not know which blobs
count: the catalog names them, and the sweeper deletes the trees that no asset owns. Whatever was handed out goes on
working: a reader that is open keeps reading the blob it opened, also after the blob was deleted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

# Left free by all who write blobs, for the catalog: it must still be able to say what happened, and to delete.
DISK_MARGIN_BYTES = 64 << 20
_MAX_SEGMENTS = 8
# Starts with a letter or digit: no "..", no hidden files, nothing a tool takes for an option. 128 leaves room
# below the 255 bytes of every file system.
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class BlobCut(Exception):
    """A blob ended before the bytes that the catalog says it has. Too late for an answer: abort and log."""


class BlobExists(Exception):
    """A blob of this key is there already: keys are used once, so this is a mistake of the caller."""


class BlobTaken(Exception):
    """Somebody else goes on with this blob: who grew it before cannot change it any more."""


def checked_key(key: str) -> str:
    """`key` itself. Raises ValueError unless it is 1 to 8 safe segments joined by "/"."""
    segments = key.split("/")
    if len(segments) > _MAX_SEGMENTS or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise ValueError(f"not a blob key: {key[:200]!r}")
    return key


def is_key_segment(name: str) -> bool:
    """Whether `name` could be the first segment of a key."""
    return _SEGMENT.fullmatch(name) is not None


class BlobWriter(Protocol):
    """A growing blob. As an async context manager it removes the blob on exit unless it was sealed."""

    @property
    def key(self) -> str:
        """The key it was created under."""

    @property
    def size(self) -> int:
        """Bytes written so far; readers of a blob that is seen see at least these."""

    @property
    def fd(self) -> int:
        """A descriptor that also reads, for ffmpeg's `/proc/self/fd/N`; valid until exit, also after the seal."""

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of `data`, which must not change meanwhile. Raises errors.StorageFull; then nothing was appended.

        The disk is full when only the catalog's margin is left of it.
        """

    async def seal(self) -> None:
        """Make the blob survive a loss of power. A later write raises ValueError. Raises errors.StorageFull."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class GrowingBlob(Protocol):
    """A blob that grows over several requests. As an async context manager it closes on exit, and keeps the blob.

    What was not synced by then may be gone after a loss of power. Every change raises BlobTaken once another `grow` of its
    key began, and ValueError after the seal.
    """

    @property
    def key(self) -> str:
        """The key it grows under."""

    @property
    def size(self) -> int:
        """Bytes there are."""

    @property
    def fd(self) -> int:
        """A descriptor that also reads; valid until exit."""

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of `data`, as `BlobWriter.write` does, with its errors."""

    async def sync(self) -> int:
        """Make what has been written survive a loss of power; the count of bytes that now does.

        May run beside a `write`, whose bytes then do not count. Raises errors.StorageFull, and errors.NotFound when the
        blob's tree was deleted. A blob that could not be synced is of no more use: every later change raises the same
        error, and what had not been synced before has to be sent again.
        """

    async def cut(self, size: int) -> None:
        """Drop all bytes behind the first `size`. Raises ValueError when there are fewer."""

    async def seal(self) -> None:
        """Sync for the last time: the blob is whole. Raises what `sync` raises."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class BlobReader(Protocol):
    """An open blob; an async context manager that lets go of it on exit."""

    @property
    def size(self) -> int:
        """Bytes there were when it was opened; a blob that still grows may have more by now."""

    @property
    def fd(self) -> int:
        """A descriptor for ffmpeg; valid until exit. Read with positions, never seek: it is shared."""

    @property
    def file(self) -> int | None:
        """The descriptor of a file whose bytes are the blob's, for sendfile(2); None where there is no such file.

        Nor is it where nobody can tell which of them are in memory (preadv2(2), RWF_NOWAIT) and which are waited for.
        """

    async def read(self, start: int, stop: int) -> memoryview:
        """The bytes [start, stop) in a buffer of their own, exactly. Raises BlobCut when the blob ends before `stop`."""

    async def gather(self, spans: Sequence[tuple[int, int]]) -> memoryview:
        """The bytes of several [start, stop), one after another, in a buffer of their own. Raises BlobCut.

        Meant for what lies close together in ascending order, as the samples of one track do.
        """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class BlobStore(Protocol):
    """A store of blobs. Every method that takes a key raises ValueError for one that `checked_key` refuses."""

    async def create(self, key: str) -> BlobWriter:
        """A new, empty blob. Raises BlobExists, errors.StorageFull, and errors.NotFound when its tree is deleted meanwhile."""

    async def replace(self, key: str) -> BlobWriter:
        """A new, empty blob that nobody sees until it is sealed; then it is there whole, in place of what was there.

        Whoever deletes its tree ends its writer first. Raises errors.StorageFull, here and when it is sealed.
        """

    async def grow(self, key: str, at: int) -> GrowingBlob:
        """Go on with a blob that is not sealed behind its first `at` bytes; what lies beyond them is dropped.

        With `at` 0 the blob is made if it is absent; it and its place are durable with the first sync. Whoever still grows
        it is stopped: its writes end before this returns. Raises BlobCut when there are fewer bytes than `at`,
        errors.StorageFull, and errors.NotFound when its tree is deleted meanwhile.
        """

    async def open(self, key: str) -> BlobReader:
        """Open a blob for reading. Raises errors.NotFound."""

    async def delete(self, key: str) -> None:
        """Delete a blob; one that is absent is deleted already."""

    async def delete_tree(self, prefix: str) -> None:
        """Delete all blobs below `prefix`, at once as far as new readers see; an absent tree is deleted already."""

    async def trees(self) -> list[str]:
        """The first segments of all keys, sorted."""

    async def keys(self, prefix: str) -> list[str]:
        """The keys of all blobs below `prefix`, sorted, also of those that are seen to grow; none for an absent tree."""

    async def finish_deletions(self) -> None:
        """Finish deletions that a crash cut short, and remove what it kept from being sealed unseen.

        What is deleted and written meanwhile through this store is no trouble.
        """

    def free_bytes(self) -> int:
        """Bytes that the disk has left; DISK_MARGIN_BYTES of them are not for blobs."""
