"""A file to send."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

FILE_BYTES = 24 << 20  # more than the buffers of a connection take


@pytest.fixture(scope="session")
def content() -> bytes:
    """Bytes that tell where they are from."""
    return random.Random(8).randbytes(FILE_BYTES)


@pytest.fixture(scope="session")
def film_file(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The descriptor of a file of them."""
    path: Path = tmp_path_factory.mktemp("film") / "film"
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def film(film_file: int) -> int:
    """The same, in memory: since it was written, the other tests may have filled that with theirs."""
    piece = [bytearray(FILE_BYTES)]
    assert os.preadv(film_file, piece, 0) == FILE_BYTES
    return film_file
