"""Rows of renditions, from an outline."""

from __future__ import annotations

from media_service.work.rows import rows_of
from tests.timeline.outlines import film, packaged_picture


def test_each_rendition_has_a_row_and_what_is_packaged_is_there_already() -> None:
    outline = film(60, packaged=(packaged_picture(),))
    rows = rows_of("one", outline)
    assert [row.name for row in rows] == [one.name for one in outline.renditions]
    assert [row.position for row in rows] == list(range(len(rows)))
    source, *encoded = rows
    assert (source.name, source.packaged, source.state) == ("source", True, "ready")
    assert (source.made_segments, source.init) == (source.segments, b"moov of the picture")
    for row in encoded:
        assert (row.packaged, row.state, row.made_segments, row.init) == (False, "queued", 0, None)
        assert row.segments == outline.rendition(row.name).count
