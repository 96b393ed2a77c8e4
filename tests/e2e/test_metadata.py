"""What a phone writes into a film besides picture and sound (where it was, whose it is) stays in the original."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.support.assets import await_state, upload
from tests.support.films import Film, make_film
from tests.support.media import ffmpeg
from tests.support.server import running_server

PLACE = "+48.8584+002.2945/"
MARK = "PRIVATE-MARK"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """With a place, a comment, names of tracks and a chapter. Keyframes every second: its own picture is packaged."""
    plain = make_film(tmp_path / "plain.mp4", Film(seconds=4, size=(854, 480), quality=4, moov_at_end=False))
    chapters = tmp_path / "chapters.txt"
    chapters.write_text(f";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=2000\ntitle={MARK}\n")
    told = tmp_path / "told.mov"
    said = ["-metadata", f"location={PLACE}", "-metadata", f"comment={MARK}", "-metadata", f"artist={MARK}"]
    said += ["-metadata:s:v", f"handler_name={MARK}", "-metadata:s:a", f"handler_name={MARK}"]
    ffmpeg("-i", plain, "-i", chapters, "-map", "0", "-map_chapters", "1", "-c", "copy", *said, told)
    return told


def test_only_the_original_says_where_a_film_was_made(tmp_path: Path, film: Path) -> None:
    place, mark = PLACE.rstrip("/").encode(), MARK.encode()
    with running_server(tmp_path) as server, server.client() as client:
        asset = await_state(client, upload(client, film)["id"], "ready")
        playback = asset["playback"]
        original = client.get(playback["original"]["url"]).content
        assert place in original
        assert mark in original
        seen = {playback["mp4"], playback["poster"], playback["dash"]}
        seen |= {
            f"/media/{asset['id']}/{one['name']}.m4a" for one in asset["renditions"] if one["kind"] == "audio"
        }
        waiting = [playback["hls"]]
        while waiting:
            address = waiting.pop()
            seen.add(address)
            if ".m3u8" in address:
                text = client.get(address).raise_for_status().text
                named = re.findall(r'URI="([^"]+)"', text) + re.findall(r"^[^#\s].*$", text, re.MULTILINE)
                waiting += [found for uri in named if (found := urljoin(address, uri)) not in seen]
        assert len(seen) >= 10
        assert {one["packaged"] for one in asset["renditions"]} == {True, False}
        for address in sorted(seen):
            content = client.get(address).raise_for_status().content
            assert place not in content, address
            assert mark not in content, address
