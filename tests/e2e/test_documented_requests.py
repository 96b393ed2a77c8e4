"""docs/requests.http: every request of it is answered as it says, and every operation of the API is in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.http_file import HttpFile, Written, read_http_file
from tests.support.media import ffmpeg
from tests.support.processes import wait_until
from tests.support.server import CHECKOUT, Server, running_server

FILE = CHECKOUT / "docs" / "requests.http"
MADE_SECONDS = 60.0
LEARNT = re.compile(r"The answer's ([\w-]+) is @(\w+)")
OTHERWISE = re.compile(r"Answers (\d+) where nothing has")  # the film here has subtitles, and nothing failed
SUBTITLES = "1\n00:00:01,000 --> 00:00:03,000\nBy the sea\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("service"), transcode_ahead=False) as running:
        yield running


@pytest.fixture
def written(service: Server, tmp_path: Path) -> HttpFile:
    """The file as somebody has it who has followed its first lines: a film beside it, service and key filled in."""
    (tmp_path / "words.srt").write_text(SUBTITLES)
    picture, sound = "testsrc2=size=320x180:rate=25:duration=6", "sine=frequency=440:duration=6"
    coding = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", "-c:s", "mov_text")
    inputs = ("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-i", tmp_path / "words.srt")
    ffmpeg(*inputs, "-map", "0", "-map", "1", "-map", "2", *coding, tmp_path / "holiday.mp4")
    shutil.copy(FILE, tmp_path)
    found = read_http_file((tmp_path / FILE.name).read_text())
    found.directory = tmp_path
    size = (tmp_path / "holiday.mp4").stat().st_size
    found.variables |= {"service": service.url, "key": service.token, "size": str(size)}
    return found


def send(client: httpx.Client, file: HttpFile, request: Written) -> httpx.Response:
    """The answer; of events only the first lines are heard."""
    headers = {name: file.filled(value) for name, value in request.headers.items()}
    asked = client.build_request(
        request.method, file.filled(request.url), headers=headers, content=file.body(request)
    )
    answer = client.send(asked, stream=True)
    if answer.headers.get("content-type") == "text/event-stream":
        assert next(answer.iter_lines())
        answer.close()
    else:
        answer.read()
    return answer


def learn(file: HttpFile, request: Written, answer: httpx.Response) -> None:
    """Fill in what the answer gives to later requests, as the request's comment says."""
    for what, name in LEARNT.findall(request.comment):
        assert name in file.variables
        file.variables[name] = answer.headers[what] if what[0].isupper() else answer.json()[what]


def test_every_request_is_answered(service: Server, written: HttpFile) -> None:
    with service.client(timeout=60) as own, httpx.Client(timeout=60) as client:
        for request in written.requests:
            answer = send(client, written, request)
            allowed = [int(status) for status in OTHERWISE.findall(request.comment)]
            assert answer.is_success or answer.status_code in allowed, (request.title, answer.status_code)
            learn(written, request, answer)
            if "@asset" in request.comment:
                address = f"/api/v1/assets/{written.variables['asset']}"

                def made(address: str = address) -> bool:
                    asset = own.get(address).raise_for_status().json()
                    return bool(asset["playback"]["preview"] and asset["playback"]["waveform"])

                wait_until(made, MADE_SECONDS, "previews, clip and waveform are made")


def test_every_operation_is_in_it(service: Server, written: HttpFile) -> None:
    with service.client() as client:
        paths = client.get("/schema/openapi.json").raise_for_status().json()["paths"]
    asked = {
        (each.method, httpx.URL(written.filled(each.url)).path)
        for each in written.requests
        if each.method != "HEAD"
    }
    # HEAD and OPTIONS go beside others; a token before a path changes nothing of it; POST to an upload is PATCH for poor clients.
    operations = {
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if method not in {"head", "options"}
        and not path.startswith("/t/")
        and (method, path) != ("post", "/api/v1/uploads/{upload_id}")
    }
    missing = [
        f"{method} {path}"
        for method, path in sorted(operations)
        if not any(
            other == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), found)
            for other, found in asked
        )
    ]
    assert not missing, missing
