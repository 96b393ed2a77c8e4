"""Every film of ../shared/corpus, from the upload to all that viewers get of it, judged by ffprobe and ffmpeg."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest

from media_service import errors
from tests.support.api import PLAYABLE, download, listed, offer, put_in, settled
from tests.support.hls_rules import check_master, check_media, check_presentation
from tests.support.media import probe
from tests.support.renditions import (
    boundaries,
    frame_times,
    heard,
    joined,
    kept,
    later_seconds,
    playlist_of,
)
from tests.support.server import Server, running_server
from tests.support.shared import SHARED, corpus
from tests.support.tracks import tracks
from tests.support.uploads import blob_trees

DURATION_WITHIN_SECONDS = 0.1
OFFSET_WITHIN_SECONDS = 0.02
TICK = Fraction(1, 90_000)  # seconds; within how much each frame has to be shown at its time
PLAYED_SECONDS = 3  # of each playlist, by ffmpeg
DEADLINE_SECONDS = 500.0  # for all of them; much, because the machine may have other work
LONG_SECONDS = 60.0  # of longer films only the keyframes are decoded
REJECTED = {
    kind.code
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.MediaRejected)
}


def path_of(name: str) -> Path:
    return SHARED / "corpus" / name


# Encoding their 1080p takes longer than all the others together. `make torture` does.
LONG = {"long_362s_1080p_moovend.mp4", "hevc_1080p_10s.mp4"}


def files(*expected: str) -> list[str]:
    """The corpus' files with these expectations, the quick ones first."""
    entries = [entry for kind in expected for entry in corpus(kind)]
    return [entry["file"] for entry in sorted(entries, key=_work)]


def names(*expected: str) -> list[Any]:
    """The same, as parameters of a test that wants them encoded."""
    return [
        pytest.param(name, marks=pytest.mark.torture if name in LONG else ()) for name in files(*expected)
    ]


def _work(entry: dict[str, Any]) -> float:
    pictures = [int(stream.get("nb_frames", 100)) * stream["width"] for stream in _streams(entry, "video")]
    return float(sum(pictures))


def _streams(entry: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [stream for stream in entry["ffprobe"]["streams"] if stream["codec_type"] == kind]


MOOV_AT_END = [entry["file"] for entry in corpus("ok") if entry.get("boxes", {}).get("moov_after_mdat")]


class Corpus:
    """A service that is given films: all at once, but for the long one."""

    def __init__(self, server: Server, directory: Path) -> None:
        self.server = server
        self.answers: dict[str, httpx.Response] = {}
        self._directory = directory

    def offer(self, everything: list[str]) -> None:
        """Upload these, all at once."""
        with (
            self.server.client(timeout=DEADLINE_SECONDS) as client,
            ThreadPoolExecutor(len(everything)) as pool,
        ):
            answers = pool.map(lambda name: offer(client, path_of(name)), everything)
            self.answers |= dict(zip(everything, answers, strict=True))

    def ready(self, name: str) -> dict[str, Any]:
        """The asset made of that film, once it is `ready`."""
        if name not in self.answers:
            self.offer([name])
        answer = self.answers[name]
        assert answer.status_code == 201, answer.text
        asset = settled(self.server, answer.json()["id"], DEADLINE_SECONDS)
        assert asset["state"] == "ready", asset["error"]
        return asset

    def film(self, name: str) -> Path:
        """The film as one classic file."""
        path = self._directory / f"{name}.mp4"
        if not path.exists():
            with self.server.client() as client:
                download(client, self.ready(name)["playback"]["mp4"], path)
        return path

    def rendition(self, name: str, rendition: str) -> Path:
        """The segments of a rendition as one file."""
        path = self._directory / f"{name}-{rendition}.mp4"
        if not path.exists():
            with self.server.client() as client:
                joined(client, self.ready(name)["id"], rendition, path)
        return path

    def renditions(self, name: str, kind: str) -> list[dict[str, Any]]:
        """The renditions of that kind, as the API tells of them."""
        return [one for one in self.ready(name)["renditions"] if one["kind"] == kind]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    everything = [name for name in files("ok", "ok-or-4xx", "reject") if name not in LONG]
    if not everything:
        pytest.skip("../shared/corpus is absent")
    directory = tmp_path_factory.mktemp("corpus")
    with running_server(directory, transcode_workers=2) as server:
        films = Corpus(server, directory)
        films.offer(everything)
        yield films


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that transcodes nothing: what plays, plays from the original."""
    with running_server(tmp_path_factory.mktemp("idle"), transcode_workers=0) as server:
        yield server


def streams(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = probe(path, "-show_streams")["streams"]
    return found


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
    assert blob_trees(given.server) == taken


@pytest.mark.parametrize("name", names("ok-or-4xx"))
def test_a_file_without_a_picture_is_heard_or_refused(given: Corpus, name: str) -> None:
    answer = given.answers[name]
    if answer.status_code != 201:
        assert answer.status_code == 422
        assert answer.json()["code"] in REJECTED
        return
    asset = given.ready(name)
    sound, source = tracks(given.film(name)), tracks(path_of(name))
    assert sound.video is None
    assert sound.stop == pytest.approx(source.stop, abs=DURATION_WITHIN_SECONDS)
    assert asset["duration"] == pytest.approx(source.stop, abs=DURATION_WITHIN_SECONDS)
    assert [stream["codec_name"] for stream in streams(given.film(name))] == ["aac"]


@pytest.mark.parametrize("name", names("ok"))
def test_a_film_becomes_ready_whole_and_in_time(given: Corpus, name: str) -> None:
    asset = given.ready(name)
    source, made = tracks(path_of(name)), tracks(given.film(name))
    assert asset["duration"] == pytest.approx(source.stop, abs=DURATION_WITHIN_SECONDS)
    assert asset["progress"] == 1.0
    assert made.stop == pytest.approx(source.stop, abs=DURATION_WITHIN_SECONDS)
    assert source.video
    assert made.video
    assert made.video.frames == source.video.frames
    assert (made.audio is None) == (source.audio is None)
    plays_without_complaint(given.film(name), source.stop)


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
def test_every_rendition_shows_each_frame_at_its_time(given: Corpus, name: str) -> None:
    asset = given.ready(name)
    begins = origin(path_of(name))
    source = [time - begins for time in frame_times(path_of(name))]
    pictures = given.renditions(name, "video")
    assert pictures
    for picture in pictures:
        with given.server.client() as client:
            edges = boundaries(playlist_of(client, asset["id"], picture["name"]))
        step = max(1, round(pictures[0]["frame_rate"] / picture["frame_rate"]))
        wanted = kept(source, edges, step)
        shown = frame_times(given.rendition(name, picture["name"]))
        assert len(shown) == len(wanted), picture["name"]
        late = [abs(there - time) for there, time in zip(shown, wanted, strict=True)]
        assert max(late) <= TICK, (picture["name"], float(max(late)))


def origin(path: Path) -> Fraction:
    """When the film begins on the source's own clock, in seconds: when its first track does."""
    begins = [min(frame_times(path, f"{stream['index']}")) for stream in streams(path) if plays(stream)]
    # What an edit list cuts only a part of begins with the film.
    return min(max(Fraction(0), time) if is_mp4(path) else time for time in begins)


def plays(stream: dict[str, Any]) -> bool:
    return stream["codec_type"] in {"video", "audio"}


def is_mp4(path: Path) -> bool:
    return path.suffix == ".mp4"


@pytest.mark.parametrize("name", names("ok", "ok-or-4xx"))
def test_sound_is_heard_when_it_was(given: Corpus, name: str) -> None:
    sounds = given.renditions(name, "audio")
    tracks_there = sum(stream["codec_type"] == "audio" for stream in streams(path_of(name)))
    assert len({sound["name"].removesuffix("-51") for sound in sounds}) == tracks_there
    recognised = heard(path_of(name)) if sounds else None
    for sound in sounds:
        if recognised is not None and not sound["name"].startswith("audio-2"):
            late = later_seconds(heard(given.rendition(name, sound["name"])), recognised)
            assert late is None or abs(late) < OFFSET_WITHIN_SECONDS, (sound["name"], late)


@pytest.mark.parametrize("name", names("ok", "ok-or-4xx"))
def test_playlists_keep_the_rules_and_play(given: Corpus, name: str) -> None:
    asset, source = given.ready(name), tracks(path_of(name))
    # Picture and sound may end apart.
    kinds = {"video": source.video, "audio": source.audio}
    ends = {one["name"]: track.stop for one in asset["renditions"] if (track := kinds[one["kind"]])}
    base = f"/media/{asset['id']}/hls/"
    with given.server.client() as client:
        master = check_master(client.get(base + "master.m3u8").raise_for_status().text)
        media = {uri: check_media(client.get(base + uri).raise_for_status().text) for uri in master.uris}
        check_presentation(master, media)
        for uri, playlist in media.items():
            end = ends.get(uri.partition("/")[0], asset["duration"])  # that of subtitles is the film's
            assert float(playlist.seconds) == pytest.approx(end, abs=DURATION_WITHIN_SECONDS), uri
        assert client.get(asset["playback"]["dash"]).status_code == 200
    address = given.server.url + base + "master.m3u8"
    argv = ["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", address, "-t", str(PLAYED_SECONDS)]
    done = subprocess.run(
        [*argv, "-f", "null", "-"], check=False, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", names("ok", "ok-or-4xx"))
def test_what_is_encoded_is_what_every_player_decodes(given: Corpus, name: str) -> None:
    for made in given.ready(name)["renditions"]:
        (stream,) = streams(given.rendition(name, made["name"]))
        if made["packaged"]:
            continue
        if made["kind"] == "audio":
            assert (stream["codec_name"], stream["profile"]) == ("aac", "LC")
            assert (stream["channels"], stream["sample_rate"]) == (made["channels"], "48000")
            continue
        assert (stream["codec_name"], stream["profile"], stream["pix_fmt"]) == ("h264", "High", "yuv420p")
        assert made["codecs"] == f"avc1.6400{stream['level']:02x}", "what players decide by"
        assert stream["sample_aspect_ratio"] == "1:1"
        assert (stream["width"], stream["height"]) == (made["width"], made["height"])
        assert stream["width"] % 2 == stream["height"] % 2 == 0
        assert min(stream["width"], stream["height"]) <= 1080
        assert not [data for data in stream.get("side_data_list", []) if "rotation" in data]
        colours = {stream[name] for name in ("color_space", "color_transfer", "color_primaries")}
        assert colours == {"bt709"}


@pytest.mark.parametrize("name", names("ok"))
def test_a_picture_is_upright_and_keeps_its_shape(given: Corpus, name: str) -> None:
    source = next(stream for stream in streams(path_of(name)) if stream["codec_type"] == "video")
    across, down = (int(part) for part in source.get("sample_aspect_ratio", "1:1").split(":"))
    width, height = source["width"] * across / down, float(source["height"])
    if any(data.get("rotation", 0) % 180 for data in source.get("side_data_list", [])):
        width, height = height, width
    largest = 0
    for made in given.renditions(name, "video"):
        # Never more lines than the source has, but for pixels that are not square: those are stretched, not thrown away.
        assert min(made["width"], made["height"]) <= max(width, height)
        across, down = made["width"] / width, made["height"] / height
        off = 1.5 / min(made["width"], made["height"])
        assert across == pytest.approx(down, rel=off), f"the shape of {made['name']} has changed"
        largest = max(largest, made["height"])
    assert largest >= min(height, 1080) * 0.99


def test_a_phones_film_stands_upright(given: Corpus) -> None:
    asset = given.ready("phone_rot90.mp4")
    assert (asset["width"], asset["height"]) == (288, 352)
    for made in given.renditions("phone_rot90.mp4", "video"):
        assert made["height"] > made["width"]
