"""Damaged films, uploaded to a running service: each is refused, fails with a code or plays; the next film is as ever."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from tests.fuzz.lines import FORM_SEEDS
from tests.fuzz.mutations import mutants
from tests.fuzz.seeds import matroska_seed, mp4_seed
from tests.support.api import settled
from tests.support.films import Film, Films
from tests.support.media import ffmpeg
from tests.support.peak import peak_rss
from tests.support.server import Server, running_server

MOST_SECONDS = 60.0  # until it is known what becomes of one
MOST_BYTES = 900 << 20  # the service and its converters, which are allowed more than the service
FRAGMENTED = "+frag_keyframe+empty_moov+default_base_moof"
MOST_ADDRESSES = 12  # of one film that are asked for


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service of its own: it gets nothing but damage."""
    with running_server(tmp_path_factory.mktemp("tried")) as running:
        yield running


@pytest.fixture(scope="module")
def tiny(films: Films, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Films that are quickly made anew."""
    made = tmp_path_factory.mktemp("tiny")
    plain = films.film(Film(seconds=1, size=(96, 64), keyframe_seconds=0.4))
    ffmpeg("-i", plain, "-c", "copy", "-movflags", FRAGMENTED, made / "fragments.mp4")
    ffmpeg("-i", plain, "-c", "copy", made / "film.mkv")
    return [plain, made / "fragments.mp4", made / "film.mkv"]


def damaged(paths: list[Path], count: int, number: int) -> Iterator[tuple[str, bytes]]:
    """`count` of all of them together, in turns."""
    seeds = [matroska_seed(path) if path.suffix == ".mkv" else mp4_seed(path) for path in paths]
    turns = [((seed.name, data) for data in mutants(seed, count, number)) for seed in seeds]
    together = (one for turn in zip(*turns, strict=True) for one in turn)
    return itertools.islice(together, count)


def outcome(server: Server, client: httpx.Client, name: str, data: bytes) -> str:
    """What became of the upload: "ready", or a code."""
    answer = client.put("/api/v1/assets", params={"filename": name}, content=data)
    if answer.status_code != 201:
        assert answer.status_code == 422, answer.text
        return str(answer.json()["code"])
    asset = settled(server, answer.json()["id"], MOST_SECONDS)
    if asset["state"] == "ready":
        _watch(client, asset["playback"]["hls"])
    client.delete(f"/api/v1/assets/{asset['id']}").raise_for_status()
    return str(asset["error"]["code"]) if asset["error"] else "ready"


def _watch(client: httpx.Client, address: str) -> None:
    """Ask for the first of what its playlists name, of every kind."""
    waiting, seen = [address], set[str]()
    while waiting and len(seen) < MOST_ADDRESSES:
        address = waiting.pop(0)
        if address in seen:
            continue
        seen.add(address)
        answer = client.get(address, timeout=MOST_SECONDS)
        assert answer.status_code < 500 or "retry-after" in answer.headers, f"{address}: {answer.text}"
        if answer.status_code == 200 and answer.content.startswith(b"#EXTM3U"):
            named = re.findall(r'^[^#\n].*|(?<=URI=")[^"]+', answer.text, re.MULTILINE)
            waiting += [urljoin(address, one) for one in named[:4]]


def attack(server: Server, films: Films, paths: list[Path], count: int, number: int) -> Counter[str]:
    """Upload them; what became of them. The service must be as it was."""
    found: Counter[str] = Counter()
    with server.client(timeout=MOST_SECONDS) as client, peak_rss(server) as peak:
        for name, data in damaged(paths, count, number):
            found[outcome(server, client, name, data)] += 1
        assert server.running
        film = films.film(Film(seconds=1, audio=False)).read_bytes()
        assert outcome(server, client, "next.mp4", film) == "ready"
    assert peak.bytes < MOST_BYTES
    assert "Traceback" not in server.log_text(1 << 22)
    return found


def test_damaged_films_do_no_harm(tried: Server, films: Films, tiny: list[Path]) -> None:
    found = attack(tried, films, tiny, 12, 1)
    assert found.total() == 12
    assert len(found) > 2


def test_damaged_forms_are_refused_and_fill_no_log(tried: Server, films: Films) -> None:
    before = tried.log.stat().st_size
    found = Counter[int]()
    with tried.client() as client:
        for data in itertools.chain.from_iterable(mutants(seed, 100, 1) for seed in FORM_SEEDS):
            body = data.partition(b"\n")[2]
            headers = {"Content-Type": "multipart/form-data; boundary=XyZ"}
            found[client.post("/api/v1/assets", content=body, headers=headers).status_code] += 1
        # 422: a form like any other, with a file that is no film.
        assert found.keys() <= {400, 422}
        film = films.film(Film(seconds=1, audio=False)).read_bytes()
        assert client.post("/api/v1/assets", files={"file": ("film.mp4", film)}).status_code == 201
    assert "WARNING" not in tried.log.read_text()[before:]


@pytest.mark.torture
def test_hundreds_of_damaged_films_do_no_harm(tried: Server, films: Films, tiny: list[Path]) -> None:
    found = attack(tried, films, tiny, 300, 2)
    assert found.total() == 300
    print(found)
