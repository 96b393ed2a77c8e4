"""Indexes out of the store."""

from __future__ import annotations

from fractions import Fraction

import pytest

from media_service.errors import NotFound
from media_service.store.keys import index_key
from media_service.timeline.index import Index
from media_service.timeline.index_codec import encode
from media_service.work.indexes import Indexes
from media_service.work.keeping import keep
from tests.support.workshop import Workshop
from tests.timeline.outlines import picture, sound


async def test_an_index_is_opened_once(workshop: Workshop) -> None:
    indexes = Indexes(workshop.blobs)
    with pytest.raises(NotFound):
        await indexes.of("one")
    index = Index(Fraction(0), (picture(10), sound(10)))
    await keep(workshop.blobs, index_key("one"), encode(index))
    found = await indexes.of("one")
    assert found.whole() == index
    assert await indexes.of("one") is found
