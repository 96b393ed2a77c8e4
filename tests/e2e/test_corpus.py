"""Every film of ../shared/corpus, from the upload to the finished rendition, judged by ffprobe and ffmpeg."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from media_service import errors
from tests.support.api import PLAYABLE, download, listed, offer, put_in, settled
from tests.support.media import probe
from tests.support.server import Server, running_server
from tests.support.shared import SHARED, corpus
from tests.support.tracks import Tracks, tracks

DURATION_WITHIN_SECONDS = 0.1
OFFSET_WITHIN_SECONDS = 0.02
DEADLINE_SECONDS = 500.0  # for all of them; much, because the machine may have other work
LONG_SECONDS = 60.0  # of longer films only the keyframes are decoded
REJECTED = {
    kind.code
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.MediaRejected)
}


def path_of(name: str) -> Path:
    return SHARED / "corpus" / name


def names(*expected: str) -> list[str]:
    """The corpus' files with these expectations, the quick ones first."""
    entries = [entry for kind in expected for entry in corpus(kind)]
    return [entry["file"] for entry in sorted(entries, key=_work)]


def _work(entry: dict[str, Any]) -> float:
    pictures = [int(stream.get("nb_frames", 100)) * stream["width"] for stream in _streams(entry, "video")]
    return float(sum(pictures))


def _streams(entry: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [stream for stream in entry["ffprobe"]["streams"] if stream["codec_type"] == kind]


MOOV_AT_END = [entry["file"] for entry in corpus("ok") if entry.get("boxes", {}).get("moov_after_mdat")]


class Corpus:
    """A service that was given every film at once."""

    def __init__(self, server: Server, answers: dict[str, httpx.Response], directory: Path) -> None:
        self.server = server
        self.answers = answers
        self._directory = directory

    def ready(self, name: str) -> dict[str, Any]:
        """The asset made of that film, once it is `ready`."""
        answer = self.answers[name]
        assert answer.status_code == 201, answer.text
        asset = settled(self.server, answer.json()["id"], DEADLINE_SECONDS)
        assert asset["state"] == "ready", asset["error"]
        return asset

    def rendition(self, name: str) -> Path:
        """The finished rendition as a file."""
        path = self._directory / f"{name}.mp4"
        if not path.exists():
            with self.server.client() as client:
                download(client, self.ready(name)["playback"]["mp4"], path)
        return path


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    everything = names("ok", "ok-or-4xx", "reject")
    if not everything:
        pytest.skip("../shared/corpus is absent")
    directory = tmp_path_factory.mktemp("corpus")
    with running_server(directory, transcode_workers=2) as server:
        with server.client(timeout=DEADLINE_SECONDS) as client, ThreadPoolExecutor(len(everything)) as pool:
            answers = dict(
                zip(everything, pool.map(lambda name: offer(client, path_of(name)), everything), strict=True)
            )
        yield Corpus(server, answers, directory)


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that transcodes nothing: what plays, plays from the original."""
    with running_server(tmp_path_factory.mktemp("idle"), transcode_workers=0) as server:
        yield server


@pytest.mark.parametrize("name", MOOV_AT_END)
def test_a_film_with_its_moov_at_the_end_plays_and_seeks_before_any_transcode(
    idle: Server, name: str
) -> None:
    with idle.client() as client:
        asset = settled(idle, put_in(client, path_of(name))["id"], DEADLINE_SECONDS, PLAYABLE)
        assert asset["state"] == "playable", asset["error"]
        address = f"/media/{asset['id']}/original.mp4"
        start = client.get(address, headers={"Range": "bytes=0-65535"})
        assert start.status_code == 206
        size = int.from_bytes(start.content[:4])
        assert [start.content[4:8], start.content[size + 4 : size + 8]] == [b"ftyp", b"moov"]
        # No byte of the film is lost, and none added but the header's.
        total = int(start.headers["content-range"].rpartition("/")[2])
        assert total == pytest.approx(path_of(name).stat().st_size, abs=4096)
    middle = tracks(path_of(name)).stop / 2
    assert first_frame(idle.url + address, middle) == first_frame(str(path_of(name)), middle)


def first_frame(source: str, seconds: float) -> str:
    """MD5 of the first picture at or after `seconds`."""
    argv = ["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-ss", f"{seconds:.3f}", "-i", source]
    argv += ["-map", "0:v:0", "-frames:v", "1", "-f", "md5", "-"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("MD5=")
    return done.stdout


@pytest.mark.parametrize("name", names("reject"))
def test_what_is_no_film_is_refused_in_words(given: Corpus, name: str) -> None:
    answer = given.answers[name]
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] in REJECTED - {errors.MediaRejected.code}
    assert problem["title"]
    assert " @ 0x" not in problem["detail"], "that is how ffmpeg talks to programmers"
    with given.server.client() as client:
        assert name not in {asset["filename"] for asset in listed(client)}


def test_a_refused_file_leaves_nothing_in_the_store(given: Corpus) -> None:
    taken = {answer.json()["id"] for answer in given.answers.values() if answer.status_code == 201}
    assert {path.name for path in (given.server.data_dir / "blobs").iterdir()} == taken


@pytest.mark.parametrize("name", names("ok-or-4xx"))
def test_a_file_without_a_picture_is_heard_or_refused(given: Corpus, name: str) -> None:
    answer = given.answers[name]
    if answer.status_code != 201:
        assert answer.status_code == 422
        assert answer.json()["code"] in REJECTED
        return
    asset = given.ready(name)
    heard, source = tracks(given.rendition(name)), tracks(path_of(name))
    assert heard.video is None
    assert heard.stop == pytest.approx(source.stop, abs=DURATION_WITHIN_SECONDS)
    assert asset["duration"] == pytest.approx(source.stop, abs=DURATION_WITHIN_SECONDS)
    assert [stream["codec_name"] for stream in streams(given.rendition(name))] == ["aac"]


def streams(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = probe(path, "-show_streams")["streams"]
    return found


@pytest.mark.parametrize("name", names("ok"))
def test_a_film_becomes_ready_whole_and_in_time(given: Corpus, name: str) -> None:
    asset = given.ready(name)
    source, made = tracks(path_of(name)), tracks(given.rendition(name))
    assert asset["duration"] == pytest.approx(source.stop, abs=DURATION_WITHIN_SECONDS)
    assert made.stop == pytest.approx(source.stop, abs=DURATION_WITHIN_SECONDS)
    assert source.video
    assert made.video
    assert made.video.frames == source.video.frames
    assert (made.audio is None) == (source.audio is None)
    keeps_offset(source, made)
    plays_without_complaint(given.rendition(name), source.stop)


def keeps_offset(source: Tracks, made: Tracks) -> None:
    if source.offset is not None:
        assert made.offset == pytest.approx(source.offset, abs=OFFSET_WITHIN_SECONDS)


def plays_without_complaint(path: Path, seconds: float) -> None:
    keyframes_only = ["-skip_frame", "nokey"] if seconds > LONG_SECONDS else []
    argv = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-xerror",
        *keyframes_only,
        "-i",
        str(path),
        "-f",
        "md5",
        "-",
    ]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", names("ok"))
def test_a_rendition_is_what_every_player_decodes(given: Corpus, name: str) -> None:
    found = {stream["codec_type"]: stream for stream in streams(given.rendition(name))}
    picture = found["video"]
    assert (picture["codec_name"], picture["profile"], picture["pix_fmt"]) == ("h264", "High", "yuv420p")
    assert picture["sample_aspect_ratio"] == "1:1"
    assert picture["width"] % 2 == picture["height"] % 2 == 0
    assert picture["height"] <= 1080
    assert not [data for data in picture.get("side_data_list", []) if "rotation" in data]
    colours = {picture[name] for name in ("color_space", "color_transfer", "color_primaries")}
    assert colours == {"bt709"}
    if "audio" in found:
        assert (found["audio"]["codec_name"], found["audio"]["profile"]) == ("aac", "LC")


@pytest.mark.parametrize("name", names("ok"))
def test_a_picture_is_upright_and_keeps_its_shape(given: Corpus, name: str) -> None:
    source = next(stream for stream in streams(path_of(name)) if stream["codec_type"] == "video")
    across, down = (int(part) for part in source.get("sample_aspect_ratio", "1:1").split(":"))
    width, height = source["width"] * across / down, float(source["height"])
    if any(data.get("rotation", 0) % 180 for data in source.get("side_data_list", [])):
        width, height = height, width
    picture = next(one for one in streams(given.rendition(name)) if one["codec_type"] == "video")
    # Never more lines than the source has, but for pixels that are not square: those are stretched, not thrown away.
    assert min(picture["width"], picture["height"]) <= min(1080, max(width, height))
    across, down = picture["width"] / width, picture["height"] / height
    assert across == pytest.approx(down, rel=1.5 / min(width, height)), "the shape has changed"


def test_a_phones_film_stands_upright(given: Corpus) -> None:
    asset = given.ready("phone_rot90.mp4")
    assert (asset["width"], asset["height"]) == (288, 352)
    picture = next(one for one in streams(given.rendition("phone_rot90.mp4")) if one["codec_type"] == "video")
    assert (picture["width"], picture["height"]) == (288, 352)
