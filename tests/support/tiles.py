"""Tiles of previews as judges see them: ffmpeg decodes them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from media_service.store.keys import previews_key
from media_service.timeline.previews import Pack


def jpegs(root: Path, asset_id: str, pack: Pack) -> list[bytes]:
    """The tiles of a pack whose blobs lie below `root`, in their order."""
    blob = (root / previews_key(asset_id, pack.version)).read_bytes()
    return [blob[tile.offset : tile.offset + tile.size] for tile in pack.tiles]


def lumas(tiles: list[bytes], across: int, down: int) -> list[bytes]:
    """The brightness of each tile, averaged over that many cells."""
    argv = ["ffmpeg", "-v", "error", "-xerror", "-f", "mjpeg", "-i", "pipe:0", "-fps_mode", "passthrough"]
    argv += ["-vf", f"scale={across}:{down}:flags=area,format=gray", "-f", "rawvideo", "-"]
    raw = subprocess.run(argv, input=b"".join(tiles), check=True, capture_output=True, timeout=120).stdout
    size = across * down
    assert len(raw) == size * len(tiles)
    return [raw[at : at + size] for at in range(0, len(raw), size)]
