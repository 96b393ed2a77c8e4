"""What ffprobe's pass over the packets of a real file gives, for the tests of the index."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

from media_service.timeline.index import Index, Kind
from media_service.timeline.index_rows import PacketIndexer, SourceStream
from tests.support.media import probe

SHOWN = "packet=stream_index,pts,dts,duration,size,pos,flags"


def streams_of(path: Path) -> list[dict[str, Any]]:
    """The streams of picture and sound that ffprobe sees, still pictures left out."""
    entries = "stream=index,id,codec_type,time_base,width,height,start_pts:stream_disposition=attached_pic"
    found = probe(path, "-show_entries", entries)["streams"]
    return [
        stream
        for stream in found
        if stream["codec_type"] in {"video", "audio"} and not stream["disposition"]["attached_pic"]
    ]


def source_streams(path: Path) -> list[SourceStream]:
    return [
        SourceStream(
            stream["index"],
            cast("Kind", stream["codec_type"]),
            Fraction(stream["time_base"]),
            stream.get("start_pts"),
        )
        for stream in streams_of(path)
    ]


def rows_of(path: Path) -> bytes:
    argv = ["ffprobe", "-v", "error", "-show_entries", SHOWN, "-of", "csv", str(path)]
    return subprocess.run(argv, check=True, capture_output=True, timeout=120).stdout


def index_by_pass(path: Path) -> Index:
    """The index of a file from ffprobe's rows."""
    indexer = PacketIndexer(source_streams(path), payload_offsets=path.suffix in {".mp4", ".mov", ".m4a"})
    indexer.feed(rows_of(path))
    return indexer.finish()
