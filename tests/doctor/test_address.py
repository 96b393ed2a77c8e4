"""`doctor URL` through the real nginx: nothing to complain of as it is shipped, and each way of spoiling it is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from media_service.doctor import proxies
from media_service.doctor.address import try_address
from media_service.doctor.findings import Finding
from tests.support.films import Film, Films
from tests.support.nginx import CONF, Nginx, free_port, running_nginx
from tests.support.processes import wait_until
from tests.support.server import CHECKOUT, Server, running_server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("service"), transcode_workers=0) as running:
        yield running


@pytest.fixture(scope="module")
def film(service: Server, films: Films) -> str:
    """The id of a film that plays: H.264 and AAC, larger than a doctor reads of an answer."""
    with service.client() as client:
        path = films.film(Film(seconds=4, quality=1, size=(640, 360)))
        added = client.put("/api/v1/assets?filename=film.mp4", content=path.read_bytes())
        asset_id = str(added.json()["id"])

        def plays() -> bool:
            return bool(client.get(f"/api/v1/assets/{asset_id}").json()["playback"]["hls"])

        wait_until(plays, 60, "the film plays")
    return asset_id


@contextmanager
def spoilt(directory: Path, port: int, *changes: tuple[str, str]) -> Iterator[Nginx]:
    """nginx with the configuration that is shipped, in which texts are replaced."""
    text = CONF.read_text()
    for old, new in changes:
        assert old in text, f"nothing to spoil: {old}"
        text = text.replace(old, new)
    directory.mkdir(exist_ok=True)
    conf = directory / "spoilt.conf"
    conf.write_text(text)
    with running_nginx(directory, port, conf=conf) as running:
        yield running


def bad(found: list[Finding]) -> dict[str, str]:
    return {finding.about: finding.text for finding in found if finding.level == "BAD"}


def told_while_something_happens(service: Server, film: str, *arguments: str) -> dict[str, Any]:
    """What `doctor --json` tells. Meanwhile the film gets other titles, so that its events need no heartbeat."""
    argv = [sys.executable, "-m", "media_service", "doctor", *arguments, "--json"]
    environment = {**os.environ, "MEDIA_SERVICE_DATA_DIR": str(service.data_dir)}
    with (
        service.client() as client,
        subprocess.Popen(
            argv, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        for number in count():
            client.patch(f"/api/v1/assets/{film}", json={"title": f"Film {number}"}).raise_for_status()
            with suppress(subprocess.TimeoutExpired):
                output, errors = process.communicate(timeout=0.5)
                break
    assert (process.returncode, errors) == (0, "")
    told: dict[str, Any] = json.loads(output)
    return told


def test_what_is_shipped_has_nothing_amiss(service: Server, film: str, tmp_path: Path) -> None:
    with running_nginx(tmp_path / "nginx", service.port) as nginx:
        told = told_while_something_happens(service, film, nginx.url)
        assert told["well"]
        assert {finding["level"] for finding in told["findings"]} == {"ok"}
        players = {"Safari", "Chrome", "Firefox", "Media3", "AVPlayer", "Pages"}
        others = {"Uploads", "Events", "The panel", "Caches"}
        assert {finding["about"] for finding in told["findings"]} == players | others | {""}
        with service.client() as client:
            assert client.get("/api/v1/keys").json()["items"] == []
        # A film's own address needs no key.
        found = try_address(f"{nginx.url}/watch/{film}", "")
        assert not bad(found)
        assert Finding("note", "are not tried without a key", about="Events") in found
        assert players <= {finding.about for finding in found}


MEDIA = "        location /media/ {"
SPOILT = [
    ((MEDIA, MEDIA + ' proxy_set_header Range "";'), "Safari", "plays nothing: to bytes=0-1 comes all of it"),
    ((MEDIA, MEDIA + ' proxy_set_header Range "";'), "Chrome", "Range is lost"),
    ((MEDIA, MEDIA + ' proxy_set_header Range "";'), "Media3", "Range is lost"),
    (
        (MEDIA, MEDIA + " gzip on; gzip_types video/mp4; gzip_proxied any; gzip_http_version 1.0;"),
        "Firefox",
        "Content-Encoding gzip",
    ),
    (
        (MEDIA, MEDIA + " gzip on; gzip_types video/mp4; gzip_proxied any; gzip_http_version 1.0;"),
        "AVPlayer",
        "Content-Encoding gzip",
    ),
    ((MEDIA, MEDIA + " proxy_hide_header ETag;"), "Firefox", "the ETag is lost"),
    ((MEDIA, MEDIA + ' proxy_set_header If-Range "";'), "Firefox", "of another 206"),
    ((MEDIA, MEDIA + " limit_except GET { deny all; }"), "Pages", "OPTIONS gets 403"),
    ((MEDIA, MEDIA + " add_header Access-Control-Allow-Origin * always;"), "Pages", "comes twice"),
    (
        (
            MEDIA,
            MEDIA
            + " proxy_hide_header Access-Control-Allow-Origin; proxy_hide_header Access-Control-Expose-Headers;",
        ),
        "Pages",
        "are lost on the way",
    ),
    (
        (MEDIA, MEDIA + " proxy_intercept_errors on; error_page 404 /livez;"),
        "Pages",
        "proxy_intercept_errors off",
    ),
    (("client_max_body_size 0;", "client_max_body_size 1m;"), "Uploads", "client_max_body_size 0"),
    (("            proxy_request_buffering off;\n", ""), "Uploads", "proxy_request_buffering off"),
    (("proxy_set_header Host $http_host;", "proxy_set_header Host service;"), "The panel", "$http_host"),
    (
        ("        location / {", "        location / { add_header X-Cache HIT always;"),
        "Caches",
        "keep answers",
    ),
]


@pytest.mark.parametrize("case", SPOILT, ids=[f"{about}-{words}" for _, about, words in SPOILT])
def test_what_is_spoilt_on_the_way_is_named_with_what_to_change(
    service: Server,
    film: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[tuple[str, str], str, str],
) -> None:
    change, about, words = case
    monkeypatch.setattr(proxies, "WAIT_SECONDS", 1.0)
    with spoilt(tmp_path / "nginx", service.port, change) as nginx:
        found = bad(try_address(f"{nginx.url}/watch/{film}", ""))  # with a key it would listen for 15 s
    assert words in found.get(about, f"nothing; but {found}")


def test_who_is_not_there_or_somebody_else_is_named(tmp_path: Path) -> None:
    (gone,) = try_address(f"http://127.0.0.1:{free_port()}", "")
    assert gone.level == "BAD"
    assert "Connection refused" in gone.text
    with pytest.raises(ValueError, match="no address like"):
        try_address("films.example", "")
    with spoilt(
        tmp_path / "nginx", free_port(), ("        location / {", "        location / { return 200 hello;")
    ) as nginx:
        (other,) = try_address(nginx.url, "")
    assert "not by media_service" in other.text
