"""Small films for the tests, made by ffmpeg when they are first asked for and kept for the session."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf"  # Debian's fonts-dejavu-core


@dataclass(frozen=True, kw_only=True)
class Film:
    """What a film is like. The default is what most uploads are: H.264 and AAC in MP4, `moov` at the end."""

    seconds: float = 2.0
    size: tuple[int, int] | None = (320, 180)  # None: no picture
    fps: int = 25
    audio: bool = True
    moov_at_end: bool = True
    codec: str = "libx264"
    container: str = "mp4"
    keyframe_seconds: float = 1.0
    clock: bool = False  # burn the running time in, for eyes and screenshots
    rotation: int = 0  # clockwise degrees that a player has to turn the picture by
    quality: int = 28  # crf


def make_film(path: Path, film: Film) -> Path:
    """Write `film` to `path` and return it. Raises CalledProcessError with ffmpeg's words."""
    argv = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
    if film.size:
        width, height = film.size
        argv += ["-f", "lavfi", "-i", _picture(film, width, height)]
    if film.audio:
        argv += [
            "-f",
            "lavfi",
            "-i",
            f"sine=frequency=440:beep_factor=4:sample_rate=48000:duration={film.seconds}",
        ]
    if film.size:
        argv += [
            "-c:v",
            film.codec,
            "-pix_fmt",
            "yuv420p",
            "-g",
            str(round(film.fps * film.keyframe_seconds)),
        ]
        argv += (
            ["-crf", str(film.quality), "-preset", "ultrafast"]
            if film.codec in {"libx264", "libx265"}
            else []
        )
    if film.audio:
        argv += ["-c:a", "libopus" if film.container == "webm" else "aac", "-b:a", "64k"]
    if film.container in {"mp4", "mov"} and not film.moov_at_end:
        argv += ["-movflags", "+faststart"]
    argv += ["-map_metadata", "-1", "-fflags", "+bitexact", str(path)]
    subprocess.run(argv, check=True, capture_output=True)
    return _turned(path, film.rotation) if film.rotation else path


def _picture(film: Film, width: int, height: int) -> str:
    source = f"testsrc2=size={width}x{height}:rate={film.fps}:duration={film.seconds}"
    if not film.clock:
        return source
    style = f"fontsize={height // 6}:fontcolor=white:box=1:boxcolor=black:boxborderw=8:x=(w-tw)/2:y=(h-th)/2"
    return f"{source},drawtext=fontfile={FONT}:text='%{{pts\\:hms}}':{style}"


def _turned(path: Path, degrees: int) -> Path:
    """The same film with a display matrix, as a phone held upright writes it. Metadata: no frame is encoded again."""
    unturned = path.with_name(f"unturned-{path.name}")
    path.rename(unturned)
    rotate = ["-metadata:s:v:0", f"rotate={-degrees % 360}"]  # ffmpeg 5.1 counts the other way round here
    argv = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-y",
        "-i",
        str(unturned),
        "-map",
        "0",
        "-c",
        "copy",
        *rotate,
        str(path),
    ]
    subprocess.run(argv, check=True, capture_output=True)
    unturned.unlink()
    return path


class Films:
    """Makes each kind of film once. Treat the files as read-only."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made: dict[Film, Path] = {}

    def film(self, film: Film = Film()) -> Path:
        """The file of a film like that."""
        if film not in self._made:
            path = self._directory / f"film-{len(self._made)}.{film.container}"
            self._made[film] = make_film(path, film)
        return self._made[film]
