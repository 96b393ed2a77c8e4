"""What a Matroska or WebM film says of its tracks (RFC 9559 s5.1.4)."""

from __future__ import annotations

from dataclasses import dataclass

from media_service.errors import AbsurdMedia, BrokenMedia
from media_service.matroska.ebml import LONGEST_HEADER, Read, Window, read_header, walk

EBML_HEADER = 0x1A45DFA3
SEGMENT = 0x18538067
TRACKS = 0x1654AE6B

MAX_TRACKS_BYTES = 4 << 20  # of the element; real ones have some kilobytes
MAX_ELEMENTS = (
    1_000_000  # of a segment that are passed over to find it, which nearly always is among the first
)

_TRACK_ENTRY, _NUMBER, _TYPE, _CODEC, _PRIVATE = 0xAE, 0xD7, 0x83, 0x86, 0x63A2
_ENCODINGS = 0x6D80
_VIDEO, _COLOUR = 0xE0, 0x55B0
_MATRIX, _RANGE, _TRANSFER, _PRIMARIES = 0x55B1, 0x55B9, 0x55BA, 0x55BB

VIDEO, AUDIO = 1, 2  # TrackType (s5.1.4.1.3)
_FULL_RANGE = 2
_UNSPECIFIED = 2


@dataclass(frozen=True, slots=True)
class Colour:
    """Primaries, transfer function and matrix as ITU-T H.273 numbers them; 2 where that is not said."""

    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED
    matrix: int = _UNSPECIFIED
    full_range: bool = False


@dataclass(frozen=True, slots=True)
class MatroskaTrack:
    """One track. `number` is what its blocks call it, `private` what its decoder is set up with (empty: nothing).

    `plain`: its frames lie in the file as they are. Compression, of which stripping their common beginning is one kind, and
    encryption are ContentEncodings (s5.1.4.1.31).
    """

    number: int
    type: int
    codec: str
    private: bytes
    plain: bool
    colour: Colour | None


def segment_start(file: Window) -> tuple[int, int]:
    """The half-open span of what is in the file's (first) segment, within the file. Raises BrokenMedia."""
    name, size, payload = read_header(*file.at(0, LONGEST_HEADER))
    if name != EBML_HEADER or size is None:
        raise BrokenMedia("it does not begin as a Matroska film does")
    start = payload + size
    data, at = file.at(start, LONGEST_HEADER) if start < file.size else (b"", 0)
    name, size, payload = read_header(data, at)
    if name != SEGMENT:
        raise BrokenMedia("a Matroska film has a segment")
    start += payload - at
    return start, file.size if size is None else min(start + size, file.size)


def read_tracks(read: Read, size: int) -> tuple[MatroskaTrack, ...]:
    """The tracks of the film of `size` bytes, in the order that it lists them.

    Raises BrokenMedia where there is no such list, or not before a cluster of unknown size; AbsurdMedia.
    """
    file = Window(read, size)
    start, stop = segment_start(file)
    for _ in range(MAX_ELEMENTS):
        if start >= stop:
            raise BrokenMedia("it has no list of tracks")
        data, at = file.at(start, LONGEST_HEADER)
        name, length, payload = read_header(data, at)
        start += payload - at
        if length is None or start + length > stop:
            raise BrokenMedia("an element of Matroska is larger than what encloses it")
        if name == TRACKS:
            if length > MAX_TRACKS_BYTES:
                raise AbsurdMedia(f"a list of tracks of {length} bytes is longer than any real one")
            return _tracks(read(start, start + length))
        start += length
    raise AbsurdMedia(f"more than {MAX_ELEMENTS} elements stand before the list of tracks")


def _tracks(data: bytes) -> tuple[MatroskaTrack, ...]:
    return tuple(_track(data, start, stop) for name, start, stop in walk(data) if name == _TRACK_ENTRY)


def _track(data: bytes, start: int, stop: int) -> MatroskaTrack:
    inside = {name: (first, last) for name, first, last in walk(data, start, stop)}
    video = inside.get(_VIDEO)
    colour = None if video is None else _colour(data, *video)
    first, last = inside.get(_PRIVATE, (0, 0))
    encodings = inside.get(_ENCODINGS, (0, 0))
    return MatroskaTrack(
        number=_unsigned(data, inside, _NUMBER, 0),
        type=_unsigned(data, inside, _TYPE, 0),
        codec=data[slice(*inside.get(_CODEC, (0, 0)))].rstrip(b"\0").decode("latin-1"),
        private=data[first:last],
        plain=next(walk(data, *encodings), None) is None,
        colour=colour,
    )


def _colour(data: bytes, start: int, stop: int) -> Colour | None:
    """What a video element says of colours (s5.1.4.1.28.24); None when it does not."""
    found = next(((first, last) for name, first, last in walk(data, start, stop) if name == _COLOUR), None)
    if found is None:
        return None
    inside = {name: (first, last) for name, first, last in walk(data, *found)}
    told = (_unsigned(data, inside, name, _UNSPECIFIED) for name in (_PRIMARIES, _TRANSFER, _MATRIX))
    primaries, transfer, matrix = (number if number <= 255 else _UNSPECIFIED for number in told)
    return Colour(primaries, transfer, matrix, _unsigned(data, inside, _RANGE, 0) == _FULL_RANGE)


def _unsigned(data: bytes, inside: dict[int, tuple[int, int]], name: int, otherwise: int) -> int:
    """An unsigned integer (RFC 8794 s7.2); of more than eight bytes there is none."""
    start, stop = inside.get(name, (0, 0))
    return int.from_bytes(data[start:stop], "big") if 0 < stop - start <= 8 else otherwise
