"""The films that are measured with, made by ffmpeg: 1080p, 30 frames per second, a keyframe every 2 s, with sound."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.clock_film import picture as bars

PIECE_SECONDS = 30
FPS = 30
PICTURE = (
    *("-c:v", "libx264", "-preset", "superfast", "-b:v", "5M", "-maxrate", "6M", "-bufsize", "6M"),
    *("-g", "60", "-bf", "2"),
)
SOUND = ("-c:a", "aac", "-b:a", "128k", "-ac", "2")


def film(directory: Path, seconds: int) -> Path:
    """A packagable film (H.264 with B frames, AAC) of that length; a piece of 30 s again and again."""
    piece, whole = directory / "piece.mp4", directory / f"film-{seconds}.mp4"
    if not piece.exists():
        # Noise, because no encoder is ever given a clean test picture in earnest.
        picture = (
            f"testsrc2=size=1920x1080:rate=30:duration={PIECE_SECONDS},noise=alls=6:allf=t,format=yuv420p"
        )
        sound = f"sine=frequency=440:sample_rate=48000:duration={PIECE_SECONDS}"
        _ffmpeg(
            *("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound),
            *(*PICTURE, *SOUND, str(piece)),
        )
    if not whole.exists():
        # One video packet of the next piece comes 1 frame after the last: lengths are whole frames, and joins exact.
        rest = ("-t", str(seconds)) if seconds % PIECE_SECONDS else ()
        _ffmpeg(
            *_again(seconds), "-i", str(piece), "-c", "copy", *rest, "-movflags", "+faststart", str(whole)
        )
    return whole


def clock_film(directory: Path, seconds: int) -> Path:
    """A film like `film`, whose pictures tell their number in the piece of 30 s (`tests.support.clock_film`) in bars."""
    whole = directory / f"clock-{seconds}.mp4"
    if not whole.exists():
        # Sound is encoded in one go: AAC packets do not end where pieces do, and each join would be some ms off.
        sound = f"sine=frequency=440:sample_rate=48000:duration={seconds}"
        _ffmpeg(
            *(*_again(seconds), "-i", str(clock_piece(directory)), "-f", "lavfi", "-i", sound),
            *("-map", "0", "-map", "1", "-c:v", "copy", *SOUND, "-t", str(seconds)),
            *("-movflags", "+faststart", str(whole)),
        )
    return whole


def clock_piece(directory: Path) -> Path:
    """The 30 s that such a film is made of, without sound."""
    piece = directory / "clock-piece.mp4"
    if not piece.exists():
        noisy = "scale=1920:1080:flags=neighbor:in_range=tv:out_range=tv,noise=alls=6:allf=t,format=yuv420p"
        _ffmpeg(
            *("-f", "rawvideo", "-pix_fmt", "gray", "-s", "160x90", "-r", str(FPS), "-i", "pipe:0"),
            *("-vf", noisy, *PICTURE, str(piece)),
            stdin=b"".join(map(bars, range(PIECE_SECONDS * FPS))),
        )
    return piece


def padded(film: Path, size: int) -> Path:
    """That film with a box at its end that nobody looks into (`free`, ISO 14496-12 s8.1.2), `size` bytes together.

    Its bytes look random, as a film's do, and are on disk: nothing is sparse, and no disk can make it smaller.
    """
    path = film.with_name(f"{film.stem}-{size}.mp4")
    noise = os.urandom(1 << 20)
    with path.open("wb") as file:
        file.write(film.read_bytes())
        file.write((size - file.tell()).to_bytes(4) + b"free")
        while (missing := size - file.tell()) > 0:
            file.write(noise[:missing])
        file.flush()
        os.fsync(file.fileno())
    return path


def _again(seconds: int) -> tuple[str, str]:
    """ffmpeg's option for as many pieces as that takes. Below zero it would repeat them for ever."""
    return "-stream_loop", str(max(0, -(-seconds // PIECE_SECONDS) - 1))


def _ffmpeg(*arguments: str, stdin: bytes = b"") -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], input=stdin, check=True)
