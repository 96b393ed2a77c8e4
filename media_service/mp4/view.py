"""Everything that indexing wants of an MP4 file, with a few positional reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from media_service.errors import AbsurdMedia, BrokenMedia
from media_service.mp4.layout import MAX_MOOV_BYTES, Read, top_level
from media_service.mp4.rewrite import View, moov_first
from media_service.mp4.samples import Movie, read_movie
from media_service.mp4.segment_index import sidx_first

MAX_FTYP_BYTES = 4096  # a thousand brands; real files have five


@dataclass(frozen=True, slots=True)
class MovieView:
    """A file's `moov`, read and as it is (`box`, header included), and how to serve the file with its index in front.

    The index is the `moov`, of a fragmented file a `sidx` besides; `index_first` is None where the file is best served as
    it is.
    """

    movie: Movie
    box: bytes
    index_first: View | None

    @property
    def moov(self) -> Literal["front", "end", "fragmented"]:
        """Where the file has its index, as it was uploaded."""
        if self.movie.fragmented:
            return "fragmented"
        return "front" if self.index_first is None else "end"


def movie_view(read: Read, size: int) -> MovieView:
    """Look at the file of `size` bytes behind `read`. Raises what `top_level`, `read_movie` and `moov_first` raise."""
    boxes = top_level(read, size)
    moov_box = next((box for box in boxes if box.type == "moov"), None)
    if moov_box is None:
        raise BrokenMedia(
            "it has no index of its tracks (no 'moov' box): the recording was probably cut off."
        )
    if moov_box.size > MAX_MOOV_BYTES:
        raise AbsurdMedia(f"its index has {moov_box.size} bytes.")
    ftyp_box = next((box for box in boxes if box.type == "ftyp"), None)
    if ftyp_box is not None and ftyp_box.size > MAX_FTYP_BYTES:
        raise AbsurdMedia(f"its list of brands has {ftyp_box.size} bytes.")
    moov = read(moov_box.start, moov_box.stop)
    ftyp = b"" if ftyp_box is None else read(ftyp_box.start, ftyp_box.stop)
    movie = read_movie(moov, file_size=size)
    if movie.fragmented:
        return MovieView(movie, moov, sidx_first(read, boxes, moov, movie, size))
    return MovieView(movie, moov, moov_first(boxes, moov, ftyp, size))
