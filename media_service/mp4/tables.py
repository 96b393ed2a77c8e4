"""The sample table of a track (`stbl`, ISO/IEC 14496-12 s8.5-8.7) as columns: one number per sample in each.

The tables are compressed as runs; here they are spread out with bulk operations only, half a million samples in a
fraction of a second. No column is longer than the bytes in the file pay for: a table that lists its sizes has four bytes
per sample, and the one that does not ("all samples have this size") is held against the size of the file and a limit.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, chain, islice, repeat
from operator import add, mul, sub

from media_service.errors import AbsurdMedia, BrokenMedia, TruncatedMedia
from media_service.mp4.boxes import LARGEST_SHORT, Box, column, fields, find, require

MAX_UNIFORM_SAMPLES = 2_000_000  # nine hours of constant-size frames at 60 per second, 50 MB of columns


@dataclass(frozen=True, slots=True)
class SampleTable:
    """Columns of equal length, in decoding order.

    `sizes` ("I") in bytes, `offsets` ("Q") in bytes from the start of the file, `decode_times` ("q") and
    `composition_offsets` ("i", to be added for the presentation time) in ticks without any edit list, `sync` one byte
    per sample, 1 where decoding can begin. `decode_stop` is the end of the last sample in ticks.
    """

    sizes: array[int]
    offsets: array[int]
    decode_times: array[int]
    composition_offsets: array[int]
    sync: bytes
    decode_stop: int


def read_table(moov: bytes, stbl: Box, *, file_size: int, limit: int) -> SampleTable:
    """The columns of one track. Raw sound (one tick per sample, all of one size) has one row per chunk instead.

    Raises BrokenMedia when the tables contradict each other, TruncatedMedia when a sample lies beyond `file_size`,
    AbsurdMedia for more than `limit` samples.
    """
    count, uniform = _count_and_size(moov, stbl)
    chunks = _chunk_offsets(moov, stbl, limit)
    per_chunk = _samples_per_chunk(moov, stbl, len(chunks), limit)
    counts, durations = _runs(moov, require(moov, "stts", within=stbl), "I", limit)
    if uniform and durations.tolist() == [1] and find(moov, "ctts", within=stbl) is None:
        return _by_chunk(chunks, per_chunk, count, uniform, file_size=file_size, limit=limit)
    if (uniform and count > MAX_UNIFORM_SAMPLES) or count > limit:
        raise AbsurdMedia(f"a track claims {count} samples")
    if uniform * count > file_size:
        raise TruncatedMedia(f"a track claims {uniform * count} bytes of samples, more than the file has")
    sizes = array("I", [uniform]) * count if uniform else _sizes(moov, stbl, count)
    offsets = _offsets(sizes, chunks, per_chunk, file_size)
    if count and not len(durations):
        raise BrokenMedia("a track does not say how long its samples last")
    # Some writers count one short: the last duration goes on, as in every player.
    lasting = chain(_spread(durations, counts), repeat(durations[-1] if count else 0))
    times = array("q", islice(accumulate(lasting, initial=0), count + 1))
    decode_stop = times.pop()
    return SampleTable(
        sizes,
        offsets,
        times,
        _composition_offsets(moov, stbl, count, limit),
        _sync(moov, stbl, count, limit),
        decode_stop,
    )


def _spread(values: array[int], counts: array[int]) -> Iterator[int]:
    """Each value as often as its count says."""
    return chain.from_iterable(map(repeat, values, counts))


def _entries(moov: bytes, box: Box, limit: int) -> int:
    """How many entries a table has. More than there may be samples say nothing and would only take time."""
    (entries,) = fields("I", moov, box, 4)
    if entries > limit:
        raise AbsurdMedia(f"the {box.type!r} box has {entries} entries")
    return int(entries)


def _runs(moov: bytes, box: Box, typecode: str, limit: int) -> tuple[array[int], array[int]]:
    """Counts ("I") and values (`typecode`) of a table of runs: stts (s8.6.1.2), ctts (s8.6.1.3)."""
    entries = _entries(moov, box, limit)
    counts = column("I", moov, box, 8, 2 * entries)
    values = column(typecode, moov, box, 8, 2 * entries)
    return counts[::2], values[1::2]


def _count_and_size(moov: bytes, stbl: Box) -> tuple[int, int]:
    """How many samples, and the size that all share; 0 where each has its own (s8.7.3)."""
    box = find(moov, "stsz", within=stbl)
    if box is not None:
        _, size, count = fields("III", moov, box)
        return count, size
    (count,) = fields("I", moov, require(moov, "stz2", within=stbl), 8)
    return count, 0


def _sizes(moov: bytes, stbl: Box, count: int) -> array[int]:
    box = find(moov, "stsz", within=stbl)
    if box is not None:
        return column("I", moov, box, 12, count)
    box = require(moov, "stz2", within=stbl)
    (bits,) = fields("B", moov, box, 7)
    if bits == 4:  # two to a byte, the first one in the upper half
        pairs = column("B", moov, box, 12, (count + 1) // 2)
        return array("I", islice(chain.from_iterable((pair >> 4, pair & 15) for pair in pairs), count))
    if bits not in {8, 16}:
        raise BrokenMedia(f"sample sizes of {bits} bits do not exist")
    return array("I", column("B" if bits == 8 else "H", moov, box, 12, count))


def _chunk_offsets(moov: bytes, stbl: Box, limit: int) -> array[int]:
    box = find(moov, "stco", within=stbl)
    if box is not None:
        return column("I", moov, box, 8, _entries(moov, box, limit))
    box = require(moov, "co64", within=stbl)
    return column("Q", moov, box, 8, _entries(moov, box, limit))


def _samples_per_chunk(moov: bytes, stbl: Box, chunks: int, limit: int) -> array[int]:
    """One number per chunk (s8.7.4: the table says from which chunk on it is how many)."""
    box = require(moov, "stsc", within=stbl)
    entries = _entries(moov, box, limit)
    table = column("I", moov, box, 8, 3 * entries)
    first = array("Q", (min(number, chunks + 1) for number in table[::3]))
    lengths = list(map(sub, chain(first[1:], [chunks + 1]), first))
    if chunks and (not entries or first[0] != 1 or min(lengths) < 0):
        raise BrokenMedia("the table of samples per chunk is not in order")
    return array("I", _spread(table[1::3], array("Q", lengths)) if chunks else ())


def _used(per_chunk: array[int], count: int) -> array[int]:
    """The number of the first sample of each chunk in use, and `count` at the end."""
    firsts = array("Q", accumulate(per_chunk, initial=0))
    if firsts[-1] < count:
        raise BrokenMedia(f"a track has {count} samples, but only {firsts[-1]} of them lie anywhere")
    used = firsts[: bisect_left(firsts, count)]
    used.append(count)
    return used


def _offsets(sizes: array[int], chunks: array[int], per_chunk: array[int], file_size: int) -> array[int]:
    """Where each sample begins: samples of a chunk lie one after another."""
    firsts = _used(per_chunk, len(sizes))
    chunks = chunks[: len(firsts) - 1]
    if max(chunks, default=0) > file_size:
        raise TruncatedMedia(f"a sample begins at byte {max(chunks)}, beyond the end of the file")
    before = array("Q", accumulate(sizes, initial=0))  # bytes of all samples before each
    ahead = map(sub, chunks, map(before.__getitem__, firsts))
    lengths = map(sub, firsts[1:], firsts)
    spread = chain.from_iterable(map(repeat, ahead, lengths))
    offsets = array("Q", map(add, before, spread))
    if max(map(add, offsets, sizes), default=0) > file_size:
        raise TruncatedMedia("a sample ends beyond the end of the file")
    return offsets


def _by_chunk(
    chunks: array[int], per_chunk: array[int], count: int, size: int, *, file_size: int, limit: int
) -> SampleTable:
    """Raw sound: an hour of it has 170 million "samples". Its chunks are what is read, timed and cut."""
    firsts = _used(per_chunk, count)
    number = len(firsts) - 1
    if number > limit:
        raise AbsurdMedia(f"a track claims {number} chunks")
    lengths = array("Q", map(sub, firsts[1:], firsts))
    if max(lengths, default=0) * size > LARGEST_SHORT:
        raise AbsurdMedia(f"a chunk of {max(lengths)} samples is larger than 4 GiB")
    sizes = array("I", map(mul, lengths, repeat(size)))
    offsets = array("Q", chunks[:number])
    # QuickTime says size 1 for whatever it has (a tick of stereo, a compressed packet): it bounds nothing.
    ends = map(add, offsets, sizes if size > 1 else repeat(0))
    if max(ends, default=0) > file_size:
        raise TruncatedMedia("the sound ends beyond the end of the file")
    times = array("q", firsts[:-1])
    return SampleTable(sizes, offsets, times, array("i", bytes(4 * number)), b"\1" * number, count)


def _composition_offsets(moov: bytes, stbl: Box, count: int, limit: int) -> array[int]:
    box = find(moov, "ctts", within=stbl)
    if box is None:
        return array("i", bytes(4 * count))
    # Version 0 says unsigned, but QuickTime and others put negative offsets there, and players take them as such.
    counts, offsets = _runs(moov, box, "i", limit)
    return array("i", islice(chain(_spread(offsets, counts), repeat(0)), count))


def _sync(moov: bytes, stbl: Box, count: int, limit: int) -> bytes:
    """One byte per sample (s8.6.2): without the table, all are sync samples."""
    box = find(moov, "stss", within=stbl)
    if box is None:
        return b"\1" * count
    flags = bytearray(count + 1)
    for number in column("I", moov, box, 8, _entries(moov, box, limit)):
        if number <= count:  # a list that goes on after the last sample does no harm
            flags[number] = 1
    return bytes(flags[1:])
