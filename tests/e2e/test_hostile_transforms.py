"""Files that are made to attack, given to transforms: each is refused, ended in time or harmless; nobody else's film comes out."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from media_service.wire.transforms import RESULTS
from tests.support.attacks import make_attacks
from tests.support.films import Film, Films
from tests.support.media import ffmpeg
from tests.support.peak import peak_rss
from tests.support.processes import ffmpegs, wait_until
from tests.support.server import Server, running_server
from tests.support.upstream import running_upstream

TRANSFORM = "/api/v1/transform"
TEXTS = ("hls_", "ffconcat_", "dash_", "smil", "asx", "rtsp", "sdp")  # which name other files and servers
MAX_SECONDS = 4.0
MOST_BYTES = 1 << 30  # of the service and its converter together


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(
        tmp_path_factory.mktemp("victim"), transform_max_seconds=MAX_SECONDS, transcode_workers=0
    ) as running:
        yield running


def outcome(server: Server, content: bytes, **asked: str) -> str:
    """ "whole", "cut off", or the code of the refusal."""
    with server.client(timeout=60) as client:
        try:
            answer = client.post(TRANSFORM, params=asked, content=content)
        except httpx.RemoteProtocolError:
            return "cut off"
    if answer.status_code == 200:
        return "whole"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code in {400, 422}
    assert answer.json()["detail"]
    return str(answer.json()["code"])


def test_hostile_films_lead_nowhere(
    victim: Server, films: Films, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory, tools = tmp_path_factory.mktemp("attacks"), tmp_path_factory.mktemp("tools")
    film = films.film(Film(seconds=2))
    with running_upstream() as canary, peak_rss(victim) as peak:
        for path in make_attacks(directory, tools, film, f"http://127.0.0.1:{canary.port}"):
            for asked in ({"format": "jpeg", "width": "64"}, {"format": "gif", "fps": "30", "width": "64"}):
                found = outcome(victim, path.read_bytes(), **asked)
                if path.name.startswith(TEXTS):
                    assert found == "not_media", path.name
        assert not canary.asked
    assert peak.bytes < MOST_BYTES
    assert "Traceback" not in victim.log_text(1 << 20)
    assert outcome(victim, film.read_bytes(), width="64") == "whole"


def test_hostile_pictures_are_refused_before_they_take_memory(victim: Server) -> None:
    with peak_rss(victim) as peak:
        assert outcome(victim, png(60_000, 60_000)) in {"absurd_media", "broken_media"}
        assert outcome(victim, png(8_000, 4_000)) == "transform_failed"
        assert outcome(victim, gif(65_535, 65_535)) in {"absurd_media", "broken_media"}
        assert outcome(victim, webp(16_383, 16_383)) in {"absurd_media", "broken_media"}
    assert peak.bytes < MOST_BYTES
    wait_until(lambda: not ffmpegs(victim.pid), 10, "no ffmpeg is left")


def png(width: int, height: int) -> bytes:
    """A picture that claims a size, and has a few of its pixels (PNG s5)."""
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(10_000))),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def gif(width: int, height: int) -> bytes:
    """One pixel on a screen that claims a size (GIF89a s18, s20)."""
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return b"GIF89a" + screen + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02D\x01\0;"


def webp(width: int, height: int) -> bytes:
    """A canvas that claims a size (RFC 9649 s2.7.1), without a picture."""
    canvas = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = b"VP8X" + struct.pack("<I", 10) + canvas + b"VP8 " + struct.pack("<I", 10) + bytes(10)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def test_what_a_file_says_of_itself_is_not_in_what_comes_out(
    victim: Server, tmp_path: Path, films: Films
) -> None:
    path = tmp_path / "told.mp4"
    tags = ["title=Secret", "artist=Secret", "location=+48.137+011.575/", "comment=Secret"]
    told = [part for tag in tags for part in ("-metadata", tag)]
    of_tracks = ["-metadata:s:v", "handler_name=Secret", "-metadata:s:a", "handler_name=Secret"]
    ffmpeg("-i", films.film(Film(seconds=1)), "-c", "copy", *told, *of_tracks, path)
    content = path.read_bytes()
    assert content.count(b"Secret") >= 5
    with victim.client(timeout=60) as client:
        for name in RESULTS:
            made = client.post(TRANSFORM, params={"format": name}, content=content).content
            assert made
            assert b"Secret" not in made, name
            assert b"48.137" not in made, name
