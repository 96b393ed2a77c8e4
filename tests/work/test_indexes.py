"""Indexes out of the store."""

from __future__ import annotations

import threading
from fractions import Fraction

import pytest

from media_service.errors import NotFound
from media_service.store.keys import index_key
from media_service.timeline.facts import AudioFacts
from media_service.timeline.index import Index
from media_service.timeline.index_codec import encode
from media_service.timeline.sound_stamps import Stamps, stamps
from media_service.timeline.stored_index import StoredTrack
from media_service.work import indexes as module
from media_service.work.indexes import Indexes
from media_service.work.keeping import keep
from tests.support.workshop import Workshop
from tests.timeline.outlines import SOUND, audio_facts, picture, sound
from tests.timeline.tracks import whole_index


async def test_an_index_is_opened_once(workshop: Workshop) -> None:
    indexes = Indexes(workshop.blobs)
    with pytest.raises(NotFound):
        await indexes.of("one")
    index = Index(Fraction(0), (picture(10), sound(10)))
    await keep(workshop.blobs, index_key("one"), encode(index))
    found = await indexes.of("one")
    assert whole_index(found) == index
    assert await indexes.of("one") is found


async def test_the_places_of_a_sound_are_found_once_and_not_on_the_loop(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexes = Indexes(workshop.blobs)
    await keep(workshop.blobs, index_key("one"), encode(Index(Fraction(0), (picture(10), sound(10)))))
    threads = []

    def watched(facts: AudioFacts, track: StoredTrack) -> Stamps:
        threads.append(threading.get_ident())
        return stamps(facts, track)

    monkeypatch.setattr(module, "stamps", watched)
    found = await indexes.stamps("one", audio_facts())
    assert found == stamps(audio_facts(), (await indexes.of("one")).track(SOUND))
    assert await indexes.stamps("one", audio_facts()) is found
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()
    with pytest.raises(KeyError):
        await indexes.stamps("one", audio_facts(7))
