"""Outlines out of the store."""

from __future__ import annotations

import pytest

from media_service.errors import NotFound
from media_service.store.keys import outline_key
from media_service.timeline.outline import encode
from media_service.work.keeping import keep
from media_service.work.outlines import Outlines
from tests.support.workshop import Workshop
from tests.timeline.outlines import film, packaged_picture


async def test_an_outline_is_what_was_stored_and_is_read_once(workshop: Workshop) -> None:
    outlines = Outlines(workshop.blobs)
    outline = film(60, packaged=(packaged_picture(),))
    await keep(workshop.blobs, outline_key("one"), encode(outline))
    found = await outlines.of("one")
    assert found == outline
    await workshop.blobs.delete_tree("one")
    assert await outlines.of("one") is found


async def test_a_film_without_an_outline_has_none_yet(workshop: Workshop) -> None:
    outlines = Outlines(workshop.blobs)
    with pytest.raises(NotFound):
        await outlines.of("one")
    await keep(workshop.blobs, outline_key("one"), encode(film()))
    assert await outlines.of("one") == film()
