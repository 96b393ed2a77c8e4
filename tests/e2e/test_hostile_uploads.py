"""Files that are broken, cut, encrypted or made to attack: each gets a clear code, and the service goes on serving."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.assets import READY_SECONDS, upload
from tests.support.attacks import VICTIM, make_attacks
from tests.support.films import Film, Films
from tests.support.media import ffmpeg
from tests.support.peak import peak_rss
from tests.support.processes import wait_until
from tests.support.server import Server, running_server
from tests.support.upstream import running_upstream

REJECTIONS = {
    "broken_media",
    "truncated_media",
    "encrypted_media",
    "not_media",
    "empty_upload",
    "absurd_media",
}
FAILURES = {*REJECTIONS, "transcode_failed", "transcode_incomplete", "transcode_too_long"}

# What is strange, but a film all the same: two pictures 30,000 s apart.
MAY_BE_READY = {"gap_bomb_30000s.mkv"}
MOST_SECONDS = 60.0  # for any of them, from the upload to its code
MOST_BYTES = 2 << 30  # of the service and its converters together, while they go through all of them


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("victim")) as running:
        yield running


@pytest.fixture
def client(victim: Server) -> Iterator[httpx.Client]:
    with victim.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def moov_first(films: Films) -> bytes:
    return films.film(Film(moov_at_end=False)).read_bytes()


@pytest.fixture(scope="module")
def moov_last(films: Films) -> bytes:
    return films.film(Film()).read_bytes()


def verdict(client: httpx.Client, content: bytes, filename: str = "film.mp4") -> str:
    """ "ready", or the code that the upload is refused or the asset has failed with."""
    answer = client.put("/api/v1/assets", params={"filename": filename}, content=content)
    if answer.status_code != 201:
        problem = answer.json()
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        assert problem["detail"], problem
        return str(problem["code"])
    asset = answer.json()

    def settled() -> bool:
        asset.update(client.get(f"/api/v1/assets/{asset['id']}").json())
        return asset["state"] in {"ready", "failed"}

    wait_until(settled, READY_SECONDS, f"{filename} is ready or failed")
    if asset["state"] == "ready":
        return "ready"
    assert asset["error"]["detail"]
    assert asset["playback"]["hls"] is None
    assert asset["playback"]["mp4"] is None
    return str(asset["error"]["code"])


# --- by accident ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.6, 0.99])
def test_a_film_cut_off_is_called_that(
    client: httpx.Client, moov_first: bytes, moov_last: bytes, share: float
) -> None:
    assert verdict(client, moov_first[: int(len(moov_first) * share)]) == "truncated_media"
    # Without its tables nothing can be said about it but that they are not there.
    assert verdict(client, moov_last[: int(len(moov_last) * share)]) in {"truncated_media", "broken_media"}


def test_garbage_is_not_media(client: httpx.Client, moov_first: bytes) -> None:
    noise = random.Random(1).randbytes(300_000)
    assert verdict(client, noise) == "not_media"
    assert verdict(client, b"Dear diary, " * 1000) == "not_media"
    assert verdict(client, b"\0" * 100_000) == "not_media"
    assert verdict(client, moov_first[:8] + noise) in REJECTIONS
    assert verdict(client, b"%PDF-1.7\n" + noise) == "not_media"


def test_a_film_under_drm_is_called_encrypted(
    client: httpx.Client, moov_first: bytes, films: Films, tmp_path: Path
) -> None:
    key = [
        "-encryption_scheme",
        "cenc-aes-ctr",
        "-encryption_key",
        "0" * 31 + "1",
        "-encryption_kid",
        "a" * 32,
    ]
    ffmpeg("-i", films.film(Film(moov_at_end=False)), "-c", "copy", *key, tmp_path / "encrypted.mp4")
    assert verdict(client, (tmp_path / "encrypted.mp4").read_bytes()) == "encrypted_media"


def test_a_damaged_film_is_ready_or_gets_a_code(client: httpx.Client, moov_first: bytes) -> None:
    """Bytes turned over at random in its tables, and in its pictures."""
    dice = random.Random(7)
    tables = moov_first.index(b"mdat")
    for count, start, stop in [(40, 40, tables), (400, 40, tables), (3000, tables + 4, len(moov_first))]:
        damaged = bytearray(moov_first)
        for _ in range(count):
            damaged[dice.randrange(start, stop)] = dice.randrange(256)
        assert verdict(client, bytes(damaged)) in {*FAILURES, "ready"}


# --- on purpose -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def canary() -> Iterator[tuple[str, list[str]]]:
    """A server that must never be asked for anything: its URL, and what it was asked all the same."""
    asked: list[str] = []
    with running_upstream() as upstream:
        yield f"http://127.0.0.1:{upstream.port}", asked
        asked += [one.target for one in upstream.asked]
    assert not asked, "a file made the service call somewhere"


@pytest.fixture(scope="module")
def attacks(
    tmp_path_factory: pytest.TempPathFactory, canary: tuple[str, list[str]], films: Films
) -> list[Path]:
    """Hostile files; another tenant's film lies beside them."""
    directory, tools = tmp_path_factory.mktemp("attacks"), tmp_path_factory.mktemp("tools")
    hidden = films.film(
        Film(size=(352, 288), fps=30, audio=False)
    )  # nothing in it is in a film that is uploaded
    return make_attacks(directory, tools, hidden, canary[0])


def test_no_attack_reads_calls_or_stops_anything(
    victim: Server, client: httpx.Client, attacks: list[Path], moov_first: bytes
) -> None:
    assert len(attacks) > 30
    found: dict[str, str] = {}
    took: dict[str, float] = {}
    with peak_rss(victim) as peak:
        for path in attacks:
            began = time.monotonic()
            found[path.name] = verdict(client, path.read_bytes(), path.name)
            took[path.name] = time.monotonic() - began
    wrong = {
        name: code
        for name, code in found.items()
        if code not in FAILURES and not (code == "ready" and name in MAY_BE_READY)
    }
    assert not wrong, found
    texts = {
        name: code
        for name, code in found.items()
        if name.startswith(("hls_", "ffconcat_", "dash_", "smil", "asx", "rtsp", "sdp"))
    }
    assert set(texts.values()) == {"not_media"}, found
    assert found["zero_length.mp4"] == "empty_upload"
    assert found["tracks_900.mkv"] == found["dims_9000x5000.mkv"] == "absurd_media", found
    assert max(took.values()) < MOST_SECONDS, took
    assert peak.bytes < MOST_BYTES
    assert victim.running
    assert verdict(client, moov_first) == "ready"


def test_the_victims_bytes_are_nowhere(victim: Server, attacks: list[Path]) -> None:
    """Not in what was made, kept or said of any of them."""
    content = (attacks[0].parent / VICTIM).read_bytes()
    dice = random.Random(3)
    pieces = [content[at : at + 64] for at in (dice.randrange(len(content) - 64) for _ in range(50))]
    pieces = [piece for piece in pieces if len(set(piece)) > 16]  # not the stuffing of the stream
    assert len(pieces) > 20
    for path in [*victim.data_dir.rglob("*"), victim.log]:
        if path.is_file():
            kept = path.read_bytes()
            assert not any(piece in kept for piece in pieces), path


def test_an_upload_after_all_that_works_as_ever(client: httpx.Client, moov_last: bytes) -> None:
    asset = upload(client, moov_last)
    assert client.delete(f"/api/v1/assets/{asset['id']}").status_code == 204
