"""Makes a short film with a running clock, so that seeking can be judged by eye, and uploads it. Standard library only.

The film is written with its `moov` at the end, as cameras and phones do: it shows that the service plays such a file
without waiting for a transcode.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf"  # Debian's fonts-dejavu-core
SECONDS = 60
TITLE = "Sample film: a running clock"


def make(path: Path) -> None:
    """Write the film to `path` (720p, 30 frames/s, a beep each second, about 2.5 MB). Raises CalledProcessError."""
    box = "fontcolor=white:box=1:boxcolor=black@0.8:x=(w-tw)/2"
    graph = (
        f"[0:v]drawtext=fontfile={FONT}:text='%{{pts\\:hms}}':fontsize=120:boxborderw=28:y=230:{box},"
        f"drawtext=fontfile={FONT}:text='frame %{{frame_num}}':fontsize=56:boxborderw=20:y=430:{box}[clock];"
        # A square that swings once a second shows stutter; a bar that fills up shows the place in the film.
        "[clock][1:v]overlay=x='(W-w)/2+480*sin(2*PI*t)':y=80:shortest=1[swinging];"
        f"[swinging][2:v]overlay=x='W*t/{SECONDS}-w':y=H-h[picture]"
    )
    sources = [
        f"smptehdbars=size=1280x720:rate=30:duration={SECONDS}",
        f"color=white:size=60x60:rate=30:duration={SECONDS}",
        f"color=orange:size=1280x20:rate=30:duration={SECONDS}",
        f"sine=frequency=220:beep_factor=4:sample_rate=48000:duration={SECONDS}",
    ]
    unfinished = path.with_name(f"{path.stem}.unfinished{path.suffix}")
    argv = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
    argv += [word for source in sources for word in ("-f", "lavfi", "-i", source)]
    argv += ["-filter_complex", graph, "-map", "[picture]", "-map", "3:a"]
    argv += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-pix_fmt", "yuv420p", "-g", "60"]
    argv += ["-c:a", "aac", "-b:a", "64k", "-ac", "1", str(unfinished)]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(argv, check=True)
        unfinished.replace(
            path
        )  # whole or not at all: a run that is interrupted leaves no half film to reuse
    finally:
        unfinished.unlink(missing_ok=True)


def newest_asset(url: str, token: str) -> dict[str, Any] | None:
    """The newest asset of the service at `url`, None when there is none."""
    items: list[dict[str, Any]] = _call(f"{url}/api/v1/assets?limit=1", token)["items"]
    return items[0] if items else None


def upload(url: str, token: str, path: Path) -> dict[str, Any]:
    """Send the film as a browser's form would (RFC 7578); returns the asset's JSON. Raises urllib's HTTPError."""
    boundary = secrets.token_hex(16)
    body = b"".join((
        _field(boundary, 'name="title"', TITLE.encode()),
        _field(boundary, f'name="file"; filename="{path.name}"\r\nContent-Type: video/mp4', path.read_bytes()),
        f"--{boundary}--\r\n".encode(),
    ))  # fmt: skip
    return _call(f"{url}/api/v1/assets", token, body, f"multipart/form-data; boundary={boundary}")


def _field(boundary: str, disposition: str, value: bytes) -> bytes:
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + value + b"\r\n"


def _call(url: str, token: str, body: bytes | None = None, content_type: str = "") -> dict[str, Any]:
    request = urllib.request.Request(url, data=body, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - our own service
    if content_type:
        request.add_header("Content-Type", content_type)
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - our own service
        answer: dict[str, Any] = json.load(response)
    return answer
