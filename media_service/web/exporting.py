"""The catalog as text: a line of JSON or a line of CSV for each asset. Knows nothing of HTTP; the command line exports, too."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Literal

import msgspec

from media_service.errors import InvalidRequest
from media_service.store.exports import Told
from media_service.store.records import Asset
from media_service.web.shapes import AssetJson, asset_json
from media_service.wire import csv_lines
from media_service.wire.csv_lines import Cell

Format = Literal["ndjson", "csv"]
Lines = Callable[[Sequence[Told]], bytes]

MEDIA_TYPES: dict[Format, str] = {"ndjson": "application/x-ndjson", "csv": csv_lines.MEDIA_TYPE}
AT_ONCE = 20  # assets that are written in one go: some 3 ms, for which everything else in the process waits

MEMBERS: tuple[str, ...] = AssetJson.__struct_fields__  # of NDJSON
_CELLS: dict[str, Callable[[AssetJson], Cell]] = {
    "id": lambda asset: asset.id,
    "title": lambda asset: asset.title,
    "filename": lambda asset: asset.filename,
    "state": lambda asset: asset.state,
    "error_code": lambda asset: asset.error.code if asset.error else None,
    "error_detail": lambda asset: asset.error.detail if asset.error else None,
    "created_at": lambda asset: asset.created_at,
    "updated_at": lambda asset: asset.updated_at,
    "duration": lambda asset: asset.duration,
    "size": lambda asset: asset.size,
    "width": lambda asset: asset.width,
    "height": lambda asset: asset.height,
    "media_type": lambda asset: asset.media_type,
    "video_codec": lambda asset: asset.facts.video.codec if asset.facts and asset.facts.video else None,
    "audio_codec": lambda asset: asset.facts.audio[0].codec if asset.facts and asset.facts.audio else None,
    "progress": lambda asset: asset.progress,
    "renditions": lambda asset: " ".join(one.name for one in asset.renditions),
    "seekability": lambda asset: asset.seekability.verdict if asset.seekability else None,
    "visibility": lambda asset: asset.visibility,
    "sha256": lambda asset: asset.sha256,
    "watch": lambda asset: asset.playback.watch,
    "hls": lambda asset: asset.playback.hls,
    "mp4": lambda asset: asset.playback.mp4,
}
CSV_COLUMNS: tuple[str, ...] = tuple(_CELLS)


def head_of(kind: Format, columns: Sequence[str]) -> bytes:
    """What stands before the first line: the names of the columns in CSV."""
    return csv_lines.line(columns).encode() if kind == "csv" else b""


def columns_of(kind: Format, wanted: str | None) -> tuple[str, ...]:
    """The columns (CSV) or members (NDJSON) that `wanted` names, divided by commas; all of them without it.

    Raises InvalidRequest for names that are none, or come twice.
    """
    known = CSV_COLUMNS if kind == "csv" else MEMBERS
    if wanted is None:
        return known
    names = tuple(wanted.split(","))
    for name in names:
        if name not in known:
            raise InvalidRequest(f"columns: there is no {name[:40]!r}; there are {', '.join(known)}.")
    if len(set(names)) < len(names):
        raise InvalidRequest("columns: each of them may be named once.")
    return names


def lines_of(kind: Format, columns: Sequence[str], prefix: Callable[[Asset], str]) -> Lines:
    """What writes assets as lines; `prefix` is what stands before an asset's addresses: see playback.gate."""

    def text(told: Sequence[Told]) -> bytes:
        assets = (asset_json(asset, renditions, prefix(asset)) for asset, renditions in told)
        cells = [_CELLS[name] for name in columns]
        return "".join(csv_lines.line(cell(asset) for cell in cells) for asset in assets).encode()

    def json(told: Sequence[Told]) -> bytes:
        encoded = []
        for asset, renditions in told:
            said: AssetJson | Mapping[str, object] = asset_json(asset, renditions, prefix(asset))
            if tuple(columns) != MEMBERS:
                said = {name: getattr(said, name) for name in columns}
            encoded += [msgspec.json.encode(said), b"\n"]
        return b"".join(encoded)

    return text if kind == "csv" else json


async def written(parts: AsyncIterator[list[Told]], lines: Lines) -> AsyncGenerator[bytes]:
    """The lines of all parts, some 60 KB at a time. Whoever iterates gives others a turn in between."""
    async for part in parts:
        for start in range(0, len(part), AT_ONCE):
            yield lines(part[start : start + AT_ONCE])
