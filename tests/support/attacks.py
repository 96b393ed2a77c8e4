"""The hostile files of ../shared/tools/make_attacks.py, and a few of the kind that it leaves out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.media import ffmpeg
from tests.support.shared import shared_file

VICTIM = "victim.ts"  # another tenant's film, beside the hostile files; they name it by its path

# The script's own films of 16000 x 16000 pixels take half a minute to encode; a smaller one of the kind is made instead.
SPARING_NICE = """#!/bin/sh
case "$*" in *16000x16000*|*4096x4096*) exit 0 ;; esac
shift 2
exec "$@"
"""


def make_attacks(directory: Path, tools: Path, film: Path, canary: str) -> list[Path]:
    """Fill `directory`; `tools` is an empty one for a program, `canary` the URL of a server that must not be called.

    Returns the hostile files by name; the victim, a copy of `film`, is not among them. Skips when the script is absent.
    """
    script = shared_file("tools/make_attacks.py")
    (tools / "nice").write_text(SPARING_NICE)
    (tools / "nice").chmod(0o755)
    ffmpeg("-i", film, "-c", "copy", directory / VICTIM)
    environment = {
        **os.environ,
        "STORE": str(directory),
        "CANARY": canary,
        "PATH": f"{tools}:{os.environ['PATH']}",
    }
    subprocess.run([sys.executable, str(script)], cwd=directory, env=environment, check=True, timeout=120)
    picture = "color=c=red:size=9000x5000:rate=1:duration=1"
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-threads", "1"]
    ffmpeg("-f", "lavfi", "-i", picture, *coding, directory / "dims_9000x5000.mkv")
    _make_more(directory, canary)
    return sorted(path for path in directory.iterdir() if path.name != VICTIM)


def _make_more(directory: Path, canary: str) -> None:
    """Ways out that the script has not: maps, init segments and keys of HLS, nested protocols, and references in MP4."""
    victim = directory / VICTIM
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n{}#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
    texts = {
        "hls_init_map.mp4": hls.format(f'#EXT-X-MAP:URI="file://{victim}"\n', f"{canary}/canary_map.m4s"),
        "hls_cache.mp4": hls.format("", f"cache:file://{victim}"),
        "hls_async.mp4": hls.format("", f"async:{canary}/canary_async.ts"),
        "hls_crypto.mp4": hls.format("", f"crypto+file://{victim}"),
        "hls_udp.mp4": hls.format("", "udp://127.0.0.1:9/x"),
        "hls_proc.mp4": hls.format("", "file:///proc/self/environ"),
        "hls_variant.mp4": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{canary}/canary_variant.m3u8\n",
        "ffconcat_http.mp4": f"ffconcat version 1.0\nfile '{canary}/canary_ffconcat.ts'\n",
        "ffconcat_options.mp4": f"ffconcat version 1.0\nfile '{victim}'\noption format_whitelist ALL\n",
        "smil.mp4": f'<smil><body><video src="{canary}/canary_smil.mp4"/></body></smil>',
        "asx.mp4": f'<asx version="3.0"><entry><ref href="{canary}/canary_asx.wmv"/></entry></asx>',
        "rtsp_text.mp4": f"RTSPtext\n{canary.replace('http', 'rtsp')}/canary_rtsp\n",
    }
    for name, text in texts.items():
        (directory / name).write_text(text)
    (directory / "dref.mp4").write_bytes(_film_elsewhere(f"file://{victim}\0".encode()))


def _film_elsewhere(url: bytes) -> bytes:
    """An MP4 whose data reference says that its samples lie at `url` (ISO/IEC 14496-12 s.8.7.2)."""

    def box(kind: bytes, *content: bytes) -> bytes:
        body = b"".join(content)
        return (len(body) + 8).to_bytes(4, "big") + kind + body

    def words(*numbers: int) -> bytes:
        return b"".join(number.to_bytes(4, "big") for number in numbers)

    matrix = words(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    entry = bytes(6) + b"\0\1" + bytes(16) + b"\0\x40\0\x40" + words(0x480000, 0x480000, 0) + b"\0\1"
    sample_table = box(
        b"stbl",
        box(b"stsd", words(0, 1), box(b"mp4v", entry + bytes(32) + b"\0\x18\xff\xff")),
        box(b"stts", words(0, 1, 1, 1000)),
        box(b"stsc", words(0, 1, 1, 1, 1)),
        box(b"stsz", words(0, 4096, 1)),
        box(b"stco", words(0, 1, 0)),
    )
    media = box(
        b"mdia",
        box(b"mdhd", words(0, 0, 0, 1000, 1000, 0)),
        box(b"hdlr", words(0, 0) + b"vide" + bytes(13)),
        box(
            b"minf",
            box(b"vmhd", words(1, 0, 0)),
            box(b"dinf", box(b"dref", words(0, 1), box(b"url ", words(0), url))),
            sample_table,
        ),
    )
    track_header = words(3, 0, 0, 1, 0, 1000, 0, 0, 0, 0) + matrix + words(64 << 16, 64 << 16)
    movie = box(
        b"moov",
        box(b"mvhd", words(0, 0, 0, 1000, 1000, 0x10000, 0x1000000, 0, 0), matrix, bytes(24), words(2)),
        box(b"trak", box(b"tkhd", track_header), media),
    )
    return box(b"ftyp", b"isom", words(512), b"isommp41") + movie
