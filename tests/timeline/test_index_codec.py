"""What a stored index looks like from inside: sections, sizes and refusals (what comes back: test_stored_index)."""

from __future__ import annotations

import zlib
from fractions import Fraction

import msgspec
import pytest

from media_service.timeline import index_codec
from media_service.timeline.index import Index
from media_service.timeline.index_codec import BLOCK, block_table, encode, open_directory, sync_points
from media_service.timeline.index_columns import IndexCorrupt
from tests.timeline.tracks import track

FILM = Index(Fraction(7, 3), (track(range(0, 50_000, 10), sync=[0, 2500, 4999]),))


def forged(**changes: object) -> memoryview:
    """A directory with other values, and all its checksums right."""
    directory, start = open_directory(memoryview(encode(FILM)))
    entry = msgspec.structs.replace(directory.tracks[0], **changes)
    raw = msgspec.msgpack.encode(index_codec.Directory(directory.origin, (entry,)))
    return sealed(raw, encode(FILM)[start:])


def sealed(raw: bytes, sections: bytes = b"") -> memoryview:
    head, stored = index_codec._HEAD, zlib.compress(raw)
    fields = (b"MSINDEX1", head.size + len(stored) + len(sections), len(stored), len(raw))
    checksum = zlib.crc32(stored, zlib.crc32(head.pack(*fields, 0)))
    return memoryview(head.pack(*fields, checksum) + stored + sections)


def test_the_directory_has_a_row_for_each_block() -> None:
    directory, _ = open_directory(memoryview(encode(FILM)))
    assert directory.origin == (7, 3)
    (entry,) = directory.tracks
    table = block_table(entry)
    assert len(table.position) == -(-5000 // BLOCK) == 3
    assert table.decode_start.tolist() == table.low.tolist() == [0, 10 * BLOCK, 20 * BLOCK]
    assert table.high.tolist() == [10 * BLOCK - 10, 20 * BLOCK - 10, 49_990]
    assert table.byte_stop[:2] == table.byte_start[1:]
    assert (entry.count, entry.size, entry.sync[0], entry.all_sync) == (5000, 50_000, 3, False)


def test_sync_points_count_their_leading_pictures() -> None:
    points = sync_points(track([0, 20, 50, 30, 40, 60, 90, 80], sync=[0, 2, 6], hidden=[0]).columns)
    assert points.numbers.tolist() == [0, 2, 6]
    assert points.times.tolist() == [0, 50, 90]
    assert (points.shown.tolist(), points.leading.tolist()) == ([0, 1, 1], [0, 2, 1])
    assert not sync_points(track([0, 40], sync=[]).columns).numbers


@pytest.mark.parametrize(
    "data",
    [
        forged(count=1 << 40),
        forged(count=-1),
        forged(timescale=0),
        forged(sync=(9999, 0, 0, 0)),
        forged(kind="smell"),
        sealed(b"\xc1"),
        sealed(msgspec.msgpack.encode([[1, 0], []])),
        sealed(bytes(20 << 20)),
    ],
)
def test_a_directory_that_claims_what_no_film_has_is_refused_although_its_checksum_is_right(
    data: memoryview,
) -> None:
    with pytest.raises(IndexCorrupt):
        open_directory(data)


def test_a_directory_without_a_row_for_each_block_is_refused() -> None:
    directory, _ = open_directory(forged(count=50_000))
    with pytest.raises(IndexCorrupt):
        block_table(directory.tracks[0])
