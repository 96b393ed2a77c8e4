"""The top level of a file, read through a positional reader."""

from __future__ import annotations

import struct

import pytest

from media_service.errors import AbsurdMedia, BrokenMedia, TruncatedMedia
from media_service.mp4.boxes import Box, build_box
from media_service.mp4.layout import top_level


class SparseFile:
    """A file of which only a few places hold bytes; remembers how much was read."""

    def __init__(self, places: dict[int, bytes]) -> None:
        self.places = places
        self.read_bytes = 0

    def read(self, start: int, stop: int) -> bytes:
        self.read_bytes += stop - start
        data = bytearray(stop - start)
        for place, content in self.places.items():
            for number, byte in enumerate(content):
                if start <= place + number < stop:
                    data[place + number - start] = byte
        return bytes(data)


def layout(data: bytes) -> list[Box]:
    return top_level(lambda start, stop: data[start:stop], len(data))


def test_a_file_of_many_gigabytes_is_laid_out_with_a_few_small_reads() -> None:
    huge = 20 << 30
    file = SparseFile(
        {
            0: build_box("ftyp", b"isom"),
            12: struct.pack(">I4sQ", 1, b"mdat", huge),
            12 + huge: build_box("moov"),
        }
    )
    assert top_level(file.read, 12 + huge + 8) == [
        Box("ftyp", 0, 8, 12),
        Box("mdat", 12, 16, huge),
        Box("moov", 12 + huge, 8, 8),
    ]
    assert file.read_bytes < 100


def test_size_zero_runs_to_the_end_of_the_file() -> None:
    assert layout(build_box("ftyp") + b"\0\0\0\0mdatabc") == [Box("ftyp", 0, 8, 8), Box("mdat", 8, 8, 11)]


def test_a_few_stray_bytes_at_the_end_are_ignored() -> None:
    assert layout(build_box("ftyp") + b"abcdefg") == [Box("ftyp", 0, 8, 8)]


def test_a_box_beyond_the_end_means_a_cut_file() -> None:
    with pytest.raises(TruncatedMedia):
        layout(build_box("ftyp") + build_box("mdat", bytes(100))[:-1])


def test_impossible_sizes_are_broken_and_swarms_of_boxes_absurd() -> None:
    with pytest.raises(BrokenMedia):
        layout(b"\0\0\0\4ftyp")
    with pytest.raises(AbsurdMedia):
        top_level(lambda start, stop: build_box("free") * 2, 1 << 40, max_boxes=1000)
