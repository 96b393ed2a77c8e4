"""Films whose every frame shows its own number, as sixteen black or white bars: what was decoded can be read off."""

from __future__ import annotations

import subprocess
from pathlib import Path

from media_service.mp4.fragments import Sample, build_fragment
from media_service.mp4.init_segment import build_init
from tests.ffmpeg.running import Output

BITS, BAR, HEIGHT = 16, 8, 96
WIDTH = BITS * BAR
FPS = 25


def numbered(seconds: float, fps: int = FPS) -> str:
    """The film as an input of ffmpeg's lavfi; the lowest bit is the bar on the left."""
    bars = f"64+128*mod(floor(N/pow(2\\,floor(X/{BAR})))\\,2)"
    return f"color=black:s={WIDTH}x{HEIGHT}:r={fps}:d={seconds},format=gray,geq=lum='{bars}',format=yuv420p"


def playable(output: Output) -> bytes:
    """What came out of a run as a file, its samples from time 0 on as one fragment."""
    samples = [Sample(one.duration, len(one.data), one.sync, one.shown - one.time) for one in output.samples]
    head = build_fragment(sequence=1, track_id=output.init.track_id, base_time=0, samples=samples)
    return build_init(output.init) + head + b"".join(one.data for one in output.samples)


def first_lumas(data: bytes, path: Path) -> bytes:
    """The brightness of the first frame's pixels. `path` is where the file may lie."""
    path.write_bytes(data)
    argv = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", "-pix_fmt", "gray"]
    return subprocess.check_output([*argv, "-f", "rawvideo", "-"])


def numbers(output: Output, path: Path) -> list[int]:
    """The number that each frame shows, in the order of showing. `path` is where the file may lie."""
    path.write_bytes(playable(output))
    argv = ["ffmpeg", "-v", "error", "-i", str(path), "-fps_mode", "passthrough"]
    argv += ["-vf", f"scale={WIDTH}:{HEIGHT}:flags=area,scale={BITS}:1:flags=area", "-pix_fmt", "gray"]
    lumas = subprocess.check_output([*argv, "-f", "rawvideo", "-"])
    return [
        sum(1 << bit for bit in range(BITS) if lumas[at + bit] > 125) for at in range(0, len(lumas), BITS)
    ]
