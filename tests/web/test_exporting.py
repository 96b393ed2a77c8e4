from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_service.errors import InvalidRequest
from media_service.store.exports import Told
from media_service.store.records import Asset
from media_service.web.exporting import (
    AT_ONCE,
    CSV_COLUMNS,
    MEMBERS,
    columns_of,
    head_of,
    lines_of,
    written,
)

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "exports.md"


def told(number: int) -> Told:
    asset = Asset(
        id=f"a{number}",
        title="Étude",
        filename="a.mp4",
        extension="mp4",
        media_type="video/mp4",
        size=5,
        sha256="ab" * 32,
        state="probing",
        created_at=0,
        updated_at=0,
        visibility="signed",
    )
    return asset, []


def test_the_document_lists_the_columns() -> None:
    said = re.search(r"The columns are (.*?)\. Text is", DOCUMENT.read_text(), re.DOTALL)
    assert said is not None
    assert tuple(re.findall(r"`(\w+)`", said[1])) == CSV_COLUMNS


def test_without_a_wish_there_are_all_columns() -> None:
    assert columns_of("csv", None) == CSV_COLUMNS
    assert columns_of("ndjson", None) == MEMBERS
    assert columns_of("ndjson", "playback,id") == ("playback", "id")


@pytest.mark.parametrize("wanted", ["", "id,", "id, title", "Id", "id,id", "playback.hls"])
def test_columns_that_are_none_are_refused(wanted: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^columns:"):
        columns_of("csv", wanted)
    with pytest.raises(InvalidRequest, match=r"^columns:"):
        columns_of("ndjson", wanted)


def test_of_an_asset_about_which_little_is_known_most_cells_are_empty() -> None:
    assert head_of("csv", ("id", "duration")) == b'"id","duration"\r\n'
    lines = lines_of("csv", ("id", "duration", "hls", "renditions", "watch"), lambda _: "/t/x")
    assert lines([told(1)]) == b'"a1",,,"","/t/x/watch/a1"\r\n'
    assert lines_of("csv", ("duration",), lambda _: "")([told(1)]) == b'""\r\n'


def test_members_are_those_of_the_asset_in_the_order_wanted() -> None:
    assert head_of("ndjson", MEMBERS) == b""
    assert lines_of("ndjson", ("title", "id"), lambda _: "")([told(1), told(2)]).decode() == (
        '{"title":"Étude","id":"a1"}\n{"title":"Étude","id":"a2"}\n'
    )
    [whole] = lines_of("ndjson", MEMBERS, lambda _: "")([told(1)]).splitlines()
    assert tuple(sorted(json.loads(whole))) == tuple(sorted(MEMBERS))


async def test_nothing_is_written_in_large_pieces() -> None:
    async def parts() -> AsyncIterator[list[Told]]:
        yield [told(number) for number in range(AT_ONCE + 1)]
        yield []
        yield [told(0)]

    pieces = [piece async for piece in written(parts(), lines_of("csv", ("id",), lambda _: ""))]
    assert [piece.count(b"\n") for piece in pieces] == [AT_ONCE, 1, 1]
