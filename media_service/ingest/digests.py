"""Digests of what arrives (RFC 9530; tus, Checksum), computed in threads: hashlib and zlib let go of the interpreter there."""

from __future__ import annotations

import hashlib
import hmac
import os
import zlib
from asyncio import to_thread
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from media_service.errors import DigestMismatch, MediaServiceError
from media_service.store.disk import to_its_end

Expected = Sequence[tuple[str, bytes]]  # algorithm -> the digest that there must be

_READ_BYTES = 1 << 20
_STEP_BYTES = 64 << 20  # in one go: a service that stops waits for no more than this


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    """CRC-32 as zlib and ISO 3309 have it; its digest is big-endian, as clients of tus send it."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


_ALGORITHMS: dict[str, Callable[[], _Hash]] = {
    "crc32": _Crc32,
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
}


class BodyDigests:
    """The digests that one body must have, computed while it arrives."""

    def __init__(self, expected: Expected) -> None:
        self._hashes = [(name, digest, _ALGORITHMS[name]()) for name, digest in expected]

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def update(self, piece: bytes) -> None:
        """The next bytes of the body; takes a millisecond per MiB and algorithm, so call it in a thread."""
        for _, _, running in self._hashes:
            running.update(piece)

    def check(self, error: type[MediaServiceError]) -> None:
        """The body is whole. Raises `error` when one of the digests is another than the client says."""
        for name, wanted, running in self._hashes:
            _compare(name, running.digest(), wanted, error)


class FileDigest:
    """The SHA-256 of a file that arrives in several requests. `position`: how many of its bytes are in it."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.position = 0

    def copy(self) -> FileDigest:
        """Another one that has seen the same bytes."""
        twin = FileDigest()
        twin._sha256 = self._sha256.copy()
        twin.position = self.position
        return twin

    def update(self, piece: bytes) -> None:
        """The bytes from `position` on; call it in a thread."""
        self._sha256.update(piece)
        self.position += len(piece)

    async def catch_up(self, fd: int, size: int) -> str:
        """The SHA-256 of the first `size` bytes behind `fd`, as hex; reads those that it has not seen yet.

        After a restart these are all that came before it: what is computed lives in memory, and only there.
        """
        await _read_into(self, fd, self.position, size)
        return self._sha256.hexdigest()


async def check_digests(fd: int, size: int, known: Mapping[str, str], expected: Expected) -> None:
    """Raise DigestMismatch unless the first `size` bytes behind `fd` have the digests that are `expected`.

    `known` are those that need not be computed any more, as hex.
    """
    for name, wanted in expected:
        if name in known:
            found = bytes.fromhex(known[name])
        else:
            running = _ALGORITHMS[name]()
            await _read_into(running, fd, 0, size)
            found = running.digest()
        _compare(name, found, wanted, DigestMismatch)


def _compare(name: str, found: bytes, wanted: bytes, error: type[MediaServiceError]) -> None:
    if not hmac.compare_digest(found, wanted):
        raise error(
            f"The bytes that arrived have the {name} {b64encode(found).decode()}, not {b64encode(wanted).decode()}."
        )


class _Takes(Protocol):
    def update(self, data: bytes, /) -> None: ...


async def _read_into(running: _Takes, fd: int, start: int, stop: int) -> None:
    for begin in range(start, stop, _STEP_BYTES):
        # To its end: a thread that was left alone would read on from a descriptor that is somebody else's by then.
        await to_its_end(to_thread(_read_step, running, fd, begin, min(begin + _STEP_BYTES, stop)))


def _read_step(running: _Takes, fd: int, start: int, stop: int) -> None:
    position = start
    while position < stop:
        piece = os.pread(fd, min(_READ_BYTES, stop - position), position)
        if not piece:
            raise OSError(f"the file ends at {position} and should have {stop} bytes")
        running.update(piece)
        position += len(piece)
