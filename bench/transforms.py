"""Transforms beside ffmpeg run by hand on a file: until the first byte, until the last, and what is held for a slow reader."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

from bench import films, peers
from bench.figures import Sample, table
from tests.support.processes import ffmpegs
from tests.support.server import Server, running_server

FILM_SECONDS = 30
PHOTO = "4000x3000"
PHOTO_ROUNDS, FILM_ROUNDS = 10, 3
MIB = 1 << 20
STOPS = (0, 1, 2, 4, 8)  # MiB read before the slow reader stops
STILL_SECONDS = 1.0  # without work for so long, ffmpeg waits for its reader
SMALL_WINDOW = 64 << 10


def measure(work: Path) -> list[str]:
    """Two tables: seconds, and memory while nobody reads on."""
    film = films.film(work, FILM_SECONDS)
    photo = work / "photo.jpg"
    argv = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        f"testsrc2=s={PHOTO},noise=alls=10",
    ]
    subprocess.run([*argv, "-frames:v", "1", "-q:v", "3", photo], check=True)
    directory = work / "transforms"
    directory.mkdir()
    with running_server(directory, transcode_workers=0) as server:
        return [_times(server, film, photo), _memory(server, film)]


def _times(server: Server, film: Path, photo: Path) -> str:
    cases = [
        ("a 12 MP photo to 1280, blurred", photo, "width=1280&blur=8", _blurred(photo), PHOTO_ROUNDS),
        (f"{FILM_SECONDS} s of 1080p to 360p MP4", film, "height=360", _smaller(film), FILM_ROUNDS),
    ]
    rows = []
    for name, path, query, by_hand, rounds in cases:
        first, last = Sample(f"{name}: first byte"), Sample(f"{name}: last byte")
        hand = Sample(f"{name}: ffmpeg by hand")
        for _ in range(rounds):  # in turns: the machine is shared
            begun, ended = _transformed(server, path, query)
            first.seconds.append(begun)
            last.seconds.append(ended)
            hand.seconds.append(peers.seconds_of(by_hand))
        rows += [first.row(hand), last.row(hand), hand.row()]
    return table("Transforms", ("", "median", "spread", "n", "x by hand"), rows)


def _memory(server: Server, film: Path) -> str:
    """A reader who stops again and again: the service and its ffmpeg together, once that stands still."""
    rows = []
    with _Asked(server, film, "format=gif&fps=25&width=640", window=SMALL_WINDOW) as asked:
        read = 0
        for stop in STOPS:
            read += len(asked.answer.read(stop * MIB - read))
            _await_stillness(server)
            held = server.rss_bytes(with_children=True) + server.memfd_bytes()
            rows.append((f"{read / MIB:.0f} MiB", f"{held / MIB:.1f} MiB"))
    return table("Held while a reader has stopped, the file in memory with it", ("read so far", "held"), rows)


def _await_stillness(server: Server) -> None:
    [process] = ffmpegs(server.pid)
    before = -1.0
    while (now := _worked(process.pid)) - before > 0:
        before = now
        time.sleep(STILL_SECONDS)


def _worked(pid: int) -> float:
    """Seconds of processor time, in ticks of the kernel's clock."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Asked:
    """One transform whose answer has begun. Use it in `with`; leaving ends it."""

    def __init__(self, server: Server, path: Path, query: str, *, window: int | None = None) -> None:
        parts = urlsplit(server.url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=600)
        self._connection.connect()
        if window is not None:
            self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        headers = {"Authorization": f"Bearer {server.token}", "Content-Length": str(path.stat().st_size)}
        with path.open("rb") as body:
            self._connection.request("POST", f"/api/v1/transform?{query}", body, headers)
        self.sent_at = time.perf_counter()
        self.answer = self._connection.getresponse()
        if self.answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{query}: {self.answer.status} {self.answer.read()[:300]!r}")

    def __enter__(self) -> _Asked:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _transformed(server: Server, path: Path, query: str) -> tuple[float, float]:
    """Seconds from the end of the upload to the first byte of the result, and to its last."""
    with _Asked(server, path, query) as asked:
        asked.answer.read(1)
        first = time.perf_counter() - asked.sent_at
        while asked.answer.read(MIB):
            pass
        return first, time.perf_counter() - asked.sent_at


def _blurred(photo: Path) -> list[str]:
    return [
        *(
            "ffmpeg",
            "-nostdin",
            "-v",
            "error",
            "-i",
            str(photo),
            "-vf",
            "scale=1280:-2,gblur=sigma=8:steps=3",
        ),
        *("-c:v", "mjpeg", "-q:v", "3", "-f", "image2pipe", "pipe:1"),
    ]


def _smaller(film: Path) -> list[str]:
    return [
        *("ffmpeg", "-nostdin", "-v", "error", "-i", str(film), "-vf", "scale=-2:360"),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-bf", "0", "-c:a", "aac", "-b:a", "160k"),
        *("-f", "mp4", "-movflags", "+frag_keyframe+empty_moov", "pipe:1"),
    ]
