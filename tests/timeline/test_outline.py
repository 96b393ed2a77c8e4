"""What an outline is called, and how it is stored."""

from __future__ import annotations

import zlib

import msgspec
import pytest

from media_service.timeline import outline as module
from media_service.timeline.outline import decode, encode
from tests.timeline.outlines import film, packaged_picture


def test_another_outline_has_another_version() -> None:
    made = decode(encode(film()))
    other = msgspec.structs.replace(made, recipes=made.recipes + 1)
    assert len({made.version, other.version, film(9).version}) == 3
    assert made.version == film().version


def test_what_is_packaged_otherwise_has_another_version_though_its_outline_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = film(packaged=(packaged_picture(),))
    stored = encode(made)
    before = decode(stored).version
    assert before == made.version
    monkeypatch.setattr(module, "PACKAGING", module.PACKAGING + 1)
    assert decode(stored) == made
    assert decode(stored).version != before


def test_a_stored_outline_keeps_its_version_when_the_service_learns_more_of_outlines() -> None:
    older = msgspec.msgpack.decode(zlib.decompress(encode(film())))
    del older["subtitles"]
    stored = zlib.compress(msgspec.msgpack.encode(older))
    found = decode(stored)
    assert found == film()
    assert found.version == decode(zlib.compress(msgspec.msgpack.encode(older), 1)).version
    assert found.version != film().version, "this is what it would be called if it were encoded anew"
