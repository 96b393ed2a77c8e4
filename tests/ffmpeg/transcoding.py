"""Runs the transcode recipe over a file and reads what came out: the times in the fragments themselves."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from media_service.ffmpeg import recipes
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.probe import probe
from media_service.ffmpeg.process import start
from media_service.ffmpeg.scanning import scan
from media_service.mp4.boxes import walk
from media_service.mp4.fragments import read_fragment
from media_service.timeline.facts import Facts
from media_service.timeline.ladder import AUDIO_SAMPLE_RATE, audio_rendition, video_rendition
from media_service.timeline.packets import Packets, packets_of

LIMITS = Limits(cpu_seconds=240, wall_seconds=240)
DAY = 86_400.0
PRIMING = 1024 / AUDIO_SAMPLE_RATE  # seconds of AAC before the first true sample


@dataclass
class Track:
    """One output: its bytes, its frames' presentation times in seconds, sorted, and where the last one ends."""

    data: bytes
    times: list[float]
    key_times: list[float]
    stop: float


@dataclass
class Transcoded:
    """What went in and what came out."""

    facts: Facts
    packets: Packets
    video: Track | None
    audio: Track | None


async def transcode(path: Path, stop_seconds: float | None = None) -> Transcoded:
    """Probe, scan and transcode the file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        facts = await probe(fd, LIMITS)
        packets = packets_of(await scan(fd, facts, LIMITS))
        picture, sound = video_rendition(facts), audio_rendition(facts)
        with Pipe() as video, Pipe() as audio, Pipe() as progress:
            argv = recipes.transcode(
                facts,
                source_fd=fd,
                video=None if picture is None else (picture, video.write_fd),
                audio=None if sound is None else (sound, audio.write_fd),
                progress_fd=progress.write_fd,
                limits=LIMITS,
                stop_seconds=stop_seconds,
            )
            outputs = (video, audio)
            async with start(argv, limits=LIMITS, pass_fds=(fd,), outputs=outputs, progress=progress):
                seen, heard = await asyncio.gather(video.read_all(), audio.read_all())
    finally:
        os.close(fd)
    return Transcoded(
        facts,
        packets,
        None if picture is None else read_track(seen, recipes.VIDEO_TIMESCALE),
        None if sound is None else read_track(heard, AUDIO_SAMPLE_RATE),
    )


def read_track(data: bytes, timescale: int) -> Track:
    """The frames of a fragmented MP4 with one track."""
    times: list[float] = []
    keys: list[float] = []
    stop = 0.0
    for box in walk(data):
        if box.type != "moof":
            continue
        fragment = read_fragment(data[box.start : box.stop])
        clock = fragment.base_time
        for sample in fragment.samples:
            shown = (clock + sample.composition_offset) / timescale
            times.append(shown)
            if sample.sync:
                keys.append(shown)
            stop = max(stop, shown + sample.duration / timescale)
            clock += sample.duration
    return Track(data, sorted(times), keys, stop)
