"""The films that are measured with, made by ffmpeg: 1080p, 30 frames per second, a keyframe every 2 s, with sound."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

PIECE_SECONDS = 30


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
            *("-c:v", "libx264", "-preset", "superfast", "-b:v", "5M", "-maxrate", "6M", "-bufsize", "6M"),
            *("-g", "60", "-bf", "2", "-c:a", "aac", "-b:a", "128k", "-ac", "2", str(piece)),
        )
    if not whole.exists():
        # One video packet of the next piece comes 1 frame after the last: lengths are whole frames, and joins exact.
        _ffmpeg(
            *("-stream_loop", str(seconds // PIECE_SECONDS - 1), "-i", str(piece)),
            *("-c", "copy", "-movflags", "+faststart", str(whole)),
        )
    return whole


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


def _ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments], check=True)
