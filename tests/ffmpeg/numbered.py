"""Films whose every frame shows its own number, as sixteen black or white bars: what was decoded can be read off."""

from __future__ import annotations

import subprocess
from pathlib import Path

from media_service.mp4.fragments import Sample, build_fragment
from media_service.mp4.init_segment import build_init
from tests.ffmpeg.running import Output
from tests.support.media import ffmpeg

BITS, BAR, HEIGHT = 16, 8, 96
WIDTH = BITS * BAR
FPS = 25

SECONDS = 12
X264 = ["-c:v", "libx264", "-g", "100", "-bf", "3", "-x264-params", "open-gop=1:b-pyramid=normal:scenecut=0"]
MPEG2 = ["-c:v", "mpeg2video", "-bf", "2", "-g", "100", "-q:v", "2"]
FILMS: dict[str, tuple[str, list[str]]] = {
    "mp4": ("mp4", X264),
    "fragmented": ("mp4", [*X264, "-movflags", "frag_keyframe+empty_moov+skip_trailer"]),
    "ts": ("ts", X264),
    "mkv": ("mkv", X264),
    "flv": ("flv", ["-c:v", "libx264", "-g", "100", "-bf", "2"]),
    "avi": ("avi", ["-c:v", "mpeg4", "-bf", "2", "-g", "100", "-q:v", "2"]),
    "mpg": ("mpg", MPEG2),
    "interlaced": ("mov", [*MPEG2, "-flags", "+ilme+ildct", "-top", "1"]),
    "interlaced ts": ("ts", [*MPEG2, "-flags", "+ilme+ildct", "-top", "1"]),
    "webm": ("webm", ["-c:v", "libvpx-vp9", "-g", "100", "-b:v", "0", "-crf", "20", "-cpu-used", "8"]),
    "ogv": ("ogv", ["-c:v", "libtheora", "-g", "64", "-q:v", "8"]),
    "asf": ("asf", ["-c:v", "wmv2", "-g", "100", "-q:v", "2"]),
    "hevc": ("mp4", ["-c:v", "libx265", "-x265-params", "log-level=none:keyint=100:open-gop=1:bframes=4"]),
}


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


class NumberedFilms:
    """Each of FILMS, made when it is first asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made: dict[str, Path] = {}

    def __call__(self, name: str) -> Path:
        if name not in self._made:
            suffix, codec = FILMS[name]
            self._made[name] = self._directory / f"{len(self._made)}.{suffix}"
            ffmpeg("-f", "lavfi", "-i", numbered(SECONDS), *codec, "-v", "error", self._made[name])
        return self._made[name]


def number_of_picture(path: Path, *options: str) -> int:
    """The number that a picture file shows."""
    argv = ["ffmpeg", "-v", "error", *options, "-i", str(path), "-frames:v", "1"]
    argv += ["-vf", f"scale={WIDTH}:{HEIGHT}:flags=area,scale={BITS}:1:flags=area,format=gray"]
    lumas = subprocess.check_output([*argv, "-f", "rawvideo", "-"])
    return sum(1 << bit for bit in range(BITS) if lumas[bit] > 125)
