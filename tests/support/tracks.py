"""When the picture and the sound of a file really begin and end, by ffprobe's packets and frames: a judge of our own numbers.

Nothing that a container says about durations is used.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Track:
    """Seconds from the beginning of the file's earliest track; `frames` counts the packets that are shown."""

    start: float
    stop: float
    frames: int


@dataclass(frozen=True)
class Tracks:
    """The first picture and the first sound of a file."""

    video: Track | None
    audio: Track | None

    @property
    def stop(self) -> float:
        """When the last of them ends."""
        return max(track.stop for track in (self.video, self.audio) if track)

    @property
    def offset(self) -> float | None:
        """How much later than the picture the sound begins; None unless there are both."""
        return self.audio.start - self.video.start if self.video and self.audio else None


def tracks(path: Path) -> Tracks:
    """Measure the file."""
    found = [_measure(path, kind) for kind in ("v:0", "a:0")]
    origin = min(track.start for track in found if track)
    video, audio = (
        Track(track.start - origin, track.stop - origin, track.frames) if track else None for track in found
    )
    return Tracks(video, audio)


def _measure(path: Path, stream: str) -> Track | None:
    shown = [
        (float(packet["pts_time"]), packet.get("duration_time"))
        for packet in _ffprobe(path, stream, "packet=pts_time,duration_time,flags")["packets"]
        if "D" not in packet["flags"]  # the edit list cuts it away
    ]
    if not shown:
        return None
    times = sorted(time for time, _ in shown)
    last, duration = max(shown, key=lambda packet: packet[0])
    # Matroska and fragmented MP4 may not say how long the last one lasts: as long as the one before.
    lasts = float(duration) if duration else times[-1] - times[-2]
    # The first frame that comes out of a decoder: packets that only prime it are not heard.
    frames = _ffprobe(path, stream, "frame=pts_time", "-read_intervals", "%+#50")["frames"]
    start = min(float(frame["pts_time"]) for frame in frames if "pts_time" in frame)
    return Track(start, last + lasts, len(shown))


def _ffprobe(path: Path, stream: str, entries: str, *options: str) -> dict[str, list[dict[str, str]]]:
    argv = ["ffprobe", "-v", "error", "-select_streams", stream, *options, "-show_entries", entries]
    done = subprocess.run([*argv, "-of", "json", str(path)], check=True, capture_output=True, timeout=120)
    found: dict[str, list[dict[str, str]]] = json.loads(done.stdout)
    return found
