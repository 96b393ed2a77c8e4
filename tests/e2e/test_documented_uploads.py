"""The examples of docs/uploads.md do what the page says: run as they stand there, against a real service."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.documented import code_blocks
from tests.support.films import Film, Films
from tests.support.server import CHECKOUT, Server, running_server

PAGE = (CHECKOUT / "docs" / "uploads.md").read_text()
SECONDS = 60
FIRST_BYTES = 20_000


def examples(heading: str, language: str) -> list[str]:
    """The code below a heading, up to the next heading of any depth."""
    return code_blocks(PAGE, heading, language)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("service"), transcode_workers=0) as running:
        yield running


@pytest.fixture
def film(films: Films, tmp_path: Path) -> Path:
    path = tmp_path / "holiday.mp4"
    shutil.copy(films.film(Film(seconds=2)), path)
    assert path.stat().st_size > FIRST_BYTES
    return path


def run(service: Server, film: Path, argv: list[str], *, cwd: Path) -> str:
    """What a program prints that finds the service and the film in the variables of the page."""
    known = {
        "S": service.url,
        "T": f"Authorization: Bearer {service.token}",
        "F": film.name,
        "TOKEN": service.token,
    }
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **known},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shell(service: Server, film: Path, *lines: str) -> str:
    """What the lines print, run by one shell in the film's directory."""
    return run(service, film, ["sh", "-eu", "-c", "\n".join(lines)], cwd=film.parent)


def is_kept(service: Server, film: Path, asset: str) -> None:
    """The asset is there and is this very film."""
    with service.client() as client:
        known = client.get(asset).raise_for_status().json()
    assert known["size"] == film.stat().st_size
    assert known["filename"] == film.name


def cut_off(headers: str) -> str:
    """A line of shell that sends only the first bytes, with more to come, and then leaves."""
    return (
        f'{{ head -c {FIRST_BYTES} "$F"; sleep 2; }} | curl -sS -m 1 -X PATCH -T - -H "$T" -H "Upload-Offset: 0" '
        f'{headers} "$U" 2>/dev/null || true'
    )


@pytest.mark.parametrize(
    ("heading", "field", "said"),
    [("In one request", "title", "Holiday"), ("Who may play it", "visibility", "signed")],
)
def test_each_line_makes_the_asset_that_it_describes(
    service: Server, film: Path, heading: str, field: str, said: str
) -> None:
    [example] = examples(heading, "sh")

    for line in example.splitlines():
        asset = json.loads(shell(service, film, line))
        is_kept(service, film, f"/api/v1/assets/{asset['id']}")
        assert asset[field] == said


def test_tus_by_curl_goes_on_where_the_line_broke(service: Server, film: Path) -> None:
    begin, go_on = examples("curl", "sh")
    cut = cut_off('-H "Tus-Resumable: 1.0.0" -H "Content-Type: application/offset+octet-stream"')
    report = 'curl -sSf -H "$T" "$U"; echo'

    before, after = shell(service, film, begin, cut, report, go_on).splitlines()

    assert json.loads(before)["offset"] == FIRST_BYTES
    assert json.loads(after)["state"] == "finished"
    is_kept(service, film, json.loads(after)["asset"])


def test_the_draft_by_curl_goes_on_where_the_line_broke(service: Server, film: Path) -> None:
    at_once, carefully = examples("Resumable, by the IETF draft", "sh")
    begin, _, go_on = carefully.partition("until ")
    cut = cut_off('-H "Upload-Complete: ?1" -H "Content-Type: application/partial-upload"')
    report = 'curl -sSf -H "$T" "$U"; echo'

    asset = json.loads(shell(service, film, at_once))
    again = json.loads(shell(service, film, at_once))
    before, after = shell(service, film, begin, cut, report, "until " + go_on).splitlines()

    assert (asset["id"], asset["title"]) == (again["id"], "Holiday")
    is_kept(service, film, f"/api/v1/assets/{asset['id']}")
    assert json.loads(before)["offset"] == FIRST_BYTES
    is_kept(service, film, f"/api/v1/assets/{json.loads(after)['id']}")


def test_a_key_tells_where_an_upload_is(service: Server, film: Path) -> None:
    """As the page says of the draft: an empty request with the same key."""
    with service.client() as client:
        wish = {"Upload-Complete": "?0", "Idempotency-Key": "told-on-the-page"}
        first = client.post("/api/v1/uploads", headers=wish, content=film.read_bytes()[:FIRST_BYTES])
        second = client.post("/api/v1/uploads", headers=wish)

    assert second.status_code == httpx.codes.CREATED
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["upload-offset"] == str(FIRST_BYTES)


def test_a_digest_is_compared(service: Server, film: Path) -> None:
    [example] = examples("Integrity", "sh")

    is_kept(service, film, f"/api/v1/assets/{json.loads(shell(service, film, example))['id']}")


def test_tuspy(service: Server, film: Path) -> None:
    [example] = examples("tuspy", "python")
    known = "import os\nserver, token = os.environ['S'], os.environ['TOKEN']\n"
    report = "\nimport json\nprint(json.dumps(uploader.url))\n"

    # Twice: the address is remembered, and the upload is done.
    for _ in range(2):
        said = run(service, film, [sys.executable, "-c", known + example + report], cwd=film.parent)
        assert "'state': 'finished'" in said
        is_kept(service, film, json.loads(said.splitlines()[-1]).replace("uploads", "assets"))


def test_tus_js_client(service: Server, film: Path) -> None:
    if shutil.which("node") is None or not (CHECKOUT / "node_modules" / "tus-js-client").is_dir():
        pytest.skip("node or tus-js-client is absent")
    [example] = examples("tus-js-client", "js")
    known = (
        "import { readFileSync } from 'node:fs'\n"
        f"const file = readFileSync({json.dumps(str(film))})\n"
        "const [server, token] = [process.env.S, process.env.TOKEN]\n"
    )

    said = run(service, film, ["node", "--input-type=module", "-e", known + example], cwd=CHECKOUT)

    assert said.startswith("asset: /api/v1/assets/")
    is_kept(service, film, said.removeprefix("asset: ").strip())


def test_limits_are_told_without_a_key(service: Server) -> None:
    with service.client(authorized=False) as client:
        told = client.options("/api/v1/uploads").headers

    announced = set(told["tus-extension"].split(","))
    documented = re.search(r"tus 1\.0\.0: all of the core, with (.*?)\. The IETF", PAGE, re.DOTALL)
    assert documented is not None
    assert set(re.findall(r"`([\w-]+)`", documented[1])) == announced
    assert "max-size" in told["upload-limit"]
