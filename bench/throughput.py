"""Encoding throughput of the whole path (from the upload's acknowledgement to `ready`) against bare ffmpeg."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from bench import films, peers
from bench.figures import Sample, table
from bench.service import await_state, upload
from media_service.ffmpeg import recipes
from media_service.ffmpeg.fence import Limits
from media_service.store.keys import index_key, outline_key
from media_service.timeline.cutting import audio_cut, video_cut
from media_service.timeline.facts import Facts
from media_service.timeline.outline import decode
from media_service.timeline.sound_stamps import stamps
from media_service.timeline.stored_index import StoredIndex
from tests.support.server import running_server

FILM_SECONDS = 60
ROUNDS = 3


def measure(work: Path) -> list[str]:
    """One table and a sentence."""
    film = films.film(work, FILM_SECONDS)
    ours, bare = Sample("upload acknowledged -> ready"), Sample("peer: ffmpeg alone, the same recipes")
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=work) as directory, running_server(Path(directory)) as server:
            asset_id, acknowledged = upload(server, film)
            asset = await_state(server, asset_id, "ready")
            ours.seconds.append(time.perf_counter() - acknowledged)
            blobs = server.data_dir / "blobs"
            stored = {key: (blobs / key(asset_id)).read_bytes() for key in (index_key, outline_key)}
        bare.seconds.append(_bare(film, asset, stored[index_key], stored[outline_key]))
    header = ("", "median", "spread", "n", "x peer")
    return [
        table(f"Encoding {FILM_SECONDS} s of 1080p30 to all rungs", header, [ours.row(bare), bare.row()]),
        f"The whole path has {bare.median / ours.median:.1%} of the throughput of ffmpeg alone.\n",
    ]


def _bare(film: Path, asset: dict[str, Any], index: bytes, outline: bytes) -> float:
    """Seconds that ffmpeg takes for all rungs in one run over the whole film, and for each sound in another."""
    facts = msgspec.convert(asset["facts"], Facts)
    tracks, renditions = StoredIndex(index), decode(outline)
    threads = len(os.sched_getaffinity(0))
    seconds = 0.0
    with film.open("rb") as source, Path(os.devnull).open("wb") as nowhere:
        source_fd, null = source.fileno(), nowhere.fileno()
        rungs = [one for one in renditions.encoded if one.video is not None]
        if rungs:
            cut = video_cut(facts, tracks.track(rungs[0].stream), rungs[0], 0, rungs[0].count)
            argv = recipes.video_run(
                facts,
                source_fd=source_fd,
                renditions=[(one.video, null) for one in rungs if one.video is not None],
                cut=cut,
                progress_fd=null,
                limits=Limits(),
                threads=threads,
            )
            seconds += peers.seconds_of(argv, pass_fds=(source_fd, null))
        for one in renditions.encoded:
            if one.audio is not None:
                track = tracks.track(one.stream)
                argv = recipes.audio_run(
                    facts,
                    source_fd=source_fd,
                    rendition=one.audio,
                    pipe_fd=null,
                    cut=audio_cut(
                        facts, track, one, 0, one.count, known=stamps(facts.sound(one.stream), track)
                    ),
                    progress_fd=null,
                    limits=Limits(),
                )
                seconds += peers.seconds_of(argv, pass_fds=(source_fd, null))
    return seconds
