"""Probing real, broken and hostile files."""

from __future__ import annotations

import http.server
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from media_service import errors
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.probe import decoders, encoders, probe
from media_service.timeline.facts import Facts
from tests.ffmpeg.running import LIMITS
from tests.support.media import ffmpeg
from tests.support.shared import corpus, shared_file

FTYP = bytes.fromhex("00000018667479706d703432000000006d70343269736f6d")


async def probed(path: Path, limits: Limits = LIMITS) -> Facts:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return await probe(fd, limits)
    finally:
        os.close(fd)


@pytest.mark.parametrize("entry", corpus("ok") + corpus("ok-or-4xx"), ids=lambda entry: entry["file"])
async def test_the_corpus_is_what_its_index_says(entry: dict[str, object]) -> None:
    facts = await probed(shared_file(f"corpus/{entry['file']}"))
    streams = entry["ffprobe"]["streams"]  # type: ignore[index] # JSON
    pictures = [row for row in streams if row["codec_type"] == "video"]
    sounds = [row for row in streams if row["codec_type"] == "audio"]
    if pictures:
        assert facts.video is not None
        assert (facts.video.width, facts.video.height) == (pictures[0]["width"], pictures[0]["height"])
        assert facts.video.codec == pictures[0]["codec_name"]
    else:
        assert facts.video is None
    assert [track.index for track in facts.audio] == [row["index"] for row in sounds]
    assert all(track.decodable for track in facts.audio)


@pytest.mark.parametrize("entry", corpus("reject"), ids=lambda entry: entry["file"])
async def test_the_corpus_rejects_are_rejected(entry: dict[str, object]) -> None:
    with pytest.raises(errors.MediaRejected) as caught:
        await probed(shared_file(f"corpus/{entry['file']}"))
    assert caught.value.code in {"broken_media", "not_media"}
    assert caught.value.detail.endswith(".")


async def test_a_film_with_subtitles_tells_their_language_and_title(tmp_path: Path) -> None:
    words, path = tmp_path / "words.srt", tmp_path / "film.mkv"
    words.write_text("1\n00:00:00,000 --> 00:00:01,000\nWort\n")
    sources = ("-f", "lavfi", "-i", "testsrc2=size=64x64:duration=1", "-f", "lavfi", "-i", "sine=duration=1")
    tags = (
        "-metadata:s:a",
        "language=eng",
        "-metadata:s:a",
        "title=Commentary",
        "-metadata:s:s",
        "language=ger",
    )
    ffmpeg(
        *sources,
        "-i",
        words,
        "-map",
        "0",
        "-map",
        "1",
        "-map",
        "2",
        *tags,
        "-disposition:s",
        "forced",
        "-c:s",
        "srt",
        path,
    )
    facts = await probed(path)
    assert [(track.language, track.title) for track in facts.audio] == [("eng", "Commentary")]
    (track,) = facts.subtitles
    assert (track.index, track.codec, track.language, track.forced) == (2, "subrip", "ger", True)
    assert facts.video is not None
    assert facts.video.level == 10


async def test_ffprobes_rotation_is_counter_clockwise() -> None:
    facts = await probed(shared_file("corpus/phone_rot90.mp4"))
    assert facts.video is not None
    assert (facts.video.rotation, facts.video.display_size) == (270, (288, 352))


async def test_a_transport_stream_starts_at_its_own_clock() -> None:
    facts = await probed(shared_file("corpus/ts_huge_pts_59857.ts"))
    assert facts.start_seconds == pytest.approx(59857.336, abs=0.001)
    assert facts.video is not None
    assert facts.video.sample_aspect == (80, 81)


async def test_a_cover_picture_is_no_film(tmp_path: Path) -> None:
    path, cover = tmp_path / "song.m4a", tmp_path / "cover.jpg"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64", "-frames:v", "1", "-update", "1", cover)
    tone = ["-f", "lavfi", "-i", "sine=d=1"]
    ffmpeg(
        *tone,
        "-i",
        cover,
        "-map",
        "0",
        "-map",
        "1",
        "-c:v",
        "mjpeg",
        "-disposition:v:0",
        "attached_pic",
        path,
    )
    facts = await probed(path)
    assert facts.video is None
    assert facts.main_audio is not None


async def test_sound_of_an_unknown_codec_is_listed_but_not_chosen(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-map", "0", "-map", "0", "-c:a", "aac", path)
    # The first track's codec becomes one that nobody knows.
    path.write_bytes(path.read_bytes().replace(b"A_AAC", b"A_ZZZ", 1))
    facts = await probed(path)
    assert [track.decodable for track in facts.audio] == [False, True]
    assert facts.main_audio == facts.audio[1]


async def test_an_encrypted_film_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "drm.mp4"
    key = ["-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb"]
    source = ["-f", "lavfi", "-i", "testsrc2=s=64x64:d=0.4", "-c:v", "libx264"]
    ffmpeg(*source, *key, "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8", path)
    with pytest.raises(errors.EncryptedMedia):
        await probed(path)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", errors.EmptyUpload),
        (b"\0", errors.NotMedia),
        (b"<html>nothing to see</html>", errors.NotMedia),
        (os.urandom(3000).replace(b"G", b"g"), errors.NotMedia),
        (FTYP, errors.BrokenMedia),
        (FTYP + struct.pack(">I4sQ", 1, b"mdat", 1 << 62) + bytes(64), errors.BrokenMedia),
        (b"\x1aE\xdf\xa3" + bytes(500), errors.BrokenMedia),
    ],
)
async def test_what_is_no_film_is_refused_by_name(
    data: bytes, error: type[errors.MediaRejected], tmp_path: Path
) -> None:
    path = tmp_path / "upload.mp4"
    path.write_bytes(data)
    with pytest.raises(error) as caught:
        await probed(path)
    assert "ffprobe" not in caught.value.detail
    assert str(tmp_path) not in caught.value.detail


async def test_boxes_nested_ten_thousand_deep_are_refused(tmp_path: Path) -> None:
    nested = b""
    for _ in range(10_000):
        nested = struct.pack(">I4s", len(nested) + 8, b"moov") + nested
    path = tmp_path / "deep.mp4"
    path.write_bytes(FTYP + nested)
    with pytest.raises(errors.BrokenMedia):
        await probed(path)


async def test_too_many_tracks_are_absurd(tmp_path: Path) -> None:
    path = tmp_path / "tracks.mkv"
    tone = ["-f", "lavfi", "-i", "sine=d=0.1:sample_rate=8000"]
    ffmpeg(*tone, *(["-map", "0:a"] * 70), "-c:a", "pcm_s16le", path)
    with pytest.raises(errors.AbsurdMedia, match="70 tracks"):
        await probed(path)


async def test_too_many_pixels_are_absurd(tmp_path: Path) -> None:
    path = tmp_path / "wall.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=s=1280x720:r=1", "-frames:v", "1", "-c:v", "libx264", path)
    with pytest.raises(errors.AbsurdMedia, match="1280 x 720"):
        await probed(path, Limits(max_pixels=1280 * 719))


async def test_a_declared_duration_is_passed_on_and_not_believed() -> None:
    liar = await probed(shared_file("corpus/fmp4_bogus_duration.mp4"))
    assert (liar.declared_seconds or 0) > 100_000


class Canary(http.server.BaseHTTPRequestHandler):
    """Counts whoever comes."""

    hits = 0

    def do_GET(self) -> None:
        Canary.hits += 1
        self.send_error(404)


@pytest.fixture
def canary() -> Iterator[str]:
    Canary.hits = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Canary) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_a_playlist_in_disguise_reads_no_other_file_and_calls_nobody(
    canary: str, tmp_path: Path
) -> None:
    victim = tmp_path / "victim.ts"
    victim.write_bytes(shared_file("corpus/ts_huge_pts_59857.ts").read_bytes())
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n"
    texts = [
        f"{head}file://{victim}\n#EXT-X-ENDLIST\n",
        f"{head}{canary}/segment.ts\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{victim}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 18699 RTP/AVP 96\n",
        f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{canary}/x.mp4</BaseURL></MPD>',
    ]
    for text in texts:
        path = tmp_path / "innocent.mp4"
        path.write_text(text)
        with pytest.raises(errors.NotMedia):
            await probed(path)
    assert Canary.hits == 0


async def test_the_installed_ffmpeg_decodes_what_films_are_made_of() -> None:
    assert {"h264", "hevc", "vp9", "av1", "aac", "opus", "ac3", "mpeg2video"} <= await decoders()
    assert "none" not in await decoders()


async def test_encoders_are_those_of_the_installed_ffmpeg() -> None:
    assert {"libx264", "aac", "mjpeg", "libwebp", "libaom-av1"} <= await encoders()
    assert "libwebq" not in await encoders()
