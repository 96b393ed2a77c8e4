from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media_service.wire.byteranges import boundary, content_range, parts
from media_service.wire.representation import BlobExtent, Cut, MemoryExtent, Span
from tests.wire.content import pattern, read, representation, split_multipart

FILM = representation(1000)


def test_a_body_of_two_parts_reads_as_the_rfc_shows_it() -> None:
    spans = (Span(0, 2), Span(990, 1000))
    line = b"--" + boundary(FILM, spans).encode()

    assert read(parts(FILM, spans)) == (
        line
        + b"\r\nContent-Type: video/mp4\r\nContent-Range: bytes 0-1/1000\r\n\r\n"
        + pattern(0, 2)
        + b"\r\n"
        + line
        + b"\r\nContent-Type: video/mp4\r\nContent-Range: bytes 990-999/1000\r\n\r\n"
        + pattern(990, 1000)
        + b"\r\n"
        + line
        + b"--\r\n"
    )


SPANS = st.tuples(st.integers(0, 999), st.integers(1, 1000)).filter(lambda pair: pair[0] < pair[1])


@given(st.lists(SPANS.map(lambda pair: Span(*pair)), min_size=1, max_size=8))
def test_every_part_holds_its_span_in_order(spans: list[Span]) -> None:
    body = read(parts(FILM, spans))

    found = split_multipart(body, f"multipart/byteranges; boundary={boundary(FILM, spans)}")

    assert [(part["content-range"], data) for part, data in found] == [
        (content_range(span, 1000).decode(), pattern(span.start, span.stop)) for span in spans
    ]
    assert {part["content-type"] for part, _ in found} == {"video/mp4"}


def test_stored_bytes_stay_where_they_are() -> None:
    vast = representation(5 << 30, content="zeros")

    pieces = parts(vast, (Span(0, 1 << 32), Span(1 << 33 >> 1, (1 << 32) + 5)))

    assert [type(piece) for piece in pieces] == [MemoryExtent, Cut, MemoryExtent, Cut, MemoryExtent]
    cuts = [extent for piece in pieces if isinstance(piece, Cut) for extent in piece.extents()]
    assert [type(extent) for extent in cuts] == [BlobExtent, BlobExtent]


def test_the_boundary_is_the_same_for_the_same_answer_and_for_no_other() -> None:
    spans, others = (Span(0, 1), Span(5, 6)), (Span(0, 1), Span(5, 7))

    assert boundary(FILM, spans) == boundary(FILM, spans)
    assert boundary(FILM, spans) != boundary(FILM, others)
    assert boundary(FILM, spans) != boundary(representation(1000, etag="v2"), spans)
    assert len(boundary(FILM, spans)) == 32
