"""tuspy and tus-js-client, through nginx and over a bad line: interrupted in the middle, they go on where they were.

tus-js-client speaks `ietf-draft-05` too, whose headers are those of draft 12 (interop versions 6 and 8 differ in 104
responses and limits, which it does not look at); what it lacks is a file name, so that goes into the address. Its
`ietf-draft-03` cannot work here: it appends without the media type that drafts have asked for since.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tusclient.client import TusClient
from tusclient.storage.filestorage import FileStorage

from tests.support.api import download
from tests.support.assets import await_state
from tests.support.fault_proxy import FaultProxy, running_fault_proxy
from tests.support.media import framemd5
from tests.support.nginx import Nginx, running_nginx
from tests.support.processes import wait_until
from tests.support.resumable import UPLOADS
from tests.support.server import Server
from tests.support.shared import shared_file

TUS_JS = Path(__file__).resolve().parents[1] / "support" / "tus_js.mjs"
PACKAGE = Path(__file__).resolve().parents[2] / "node_modules" / "tus-js-client"
CUT_BYTES = 1_200_000  # of each connection


@pytest.fixture(scope="module")
def proxied(service: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with running_nginx(tmp_path_factory.mktemp("nginx"), service.port) as running:
        yield running


@pytest.fixture
def line(proxied: Nginx) -> Iterator[FaultProxy]:
    """Between the client and nginx."""
    with running_fault_proxy(proxied.port) as running:
        yield running


@pytest.fixture(scope="module")
def film() -> Path:
    """Of the corpus: 4 MB, half a minute, its `moov` at the end."""
    return shared_file("corpus/bbb_480p_30s_51_moovend.mp4")


def is_the_film(service: Server, address: str, film: Path, scratch: Path) -> None:
    """The asset at that address has the file's digest and name, and what plays is packet for packet the file."""
    with service.client() as client:
        asset = client.get(address).raise_for_status().json()
        assert asset["sha256"] == hashlib.sha256(film.read_bytes()).hexdigest()
        assert asset["filename"] == "film.mp4"
        playable = await_state(client, asset["id"], "playable")
        played = download(client, playable["playback"]["original"]["url"], scratch / "played.mp4")
        assert framemd5(played) == framemd5(film)
        assert client.delete(address).status_code == 204


# --- tuspy --------------------------------------------------------------------------------------------------------


def tuspy(service: Server, line: FaultProxy) -> TusClient:
    return TusClient(f"{line.url}{UPLOADS}", headers={"Authorization": f"Bearer {service.token}"})


def asset_of(uploader: Any) -> str:
    """What its last answer names; its own types know of no answer."""
    address: str = uploader.request.response_headers["upload-asset"]
    return address


# It opens files by their path without closing them: Python does, and would complain.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_tuspy_goes_on_in_another_process_life(
    service: Server, line: FaultProxy, film: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {
        "file_path": str(film),
        "chunk_size": 500_000,
        "metadata": {"filename": "film.mp4"},
        "store_url": True,
        "upload_checksum": True,
    }
    storage: Any = FileStorage(str(tmp_path / "urls.json"))  # type: ignore[no-untyped-call] # it has none
    first = tuspy(service, line).uploader(url_storage=storage, **options)
    first.upload(stop_at=1_700_000)
    assert first.offset == 1_700_000
    storage.close()

    storage = FileStorage(str(tmp_path / "urls.json"))  # type: ignore[no-untyped-call] # it has none
    second = tuspy(service, line).uploader(url_storage=storage, **options)
    storage.close()
    assert (second.url, second.offset) == (first.url, 1_700_000)
    second.upload()
    is_the_film(service, asset_of(second), film, tmp_path)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_tuspy_gets_over_a_line_that_is_cut(
    service: Server, line: FaultProxy, film: Path, tmp_path: Path
) -> None:
    uploader = tuspy(service, line).uploader(
        file_path=str(film), metadata={"filename": "film.mp4"}, retries=20, retry_delay=0
    )
    line.set({"cut_up": CUT_BYTES})
    uploader.upload()
    assert line.stats()["cuts"] >= 2
    is_the_film(service, asset_of(uploader), film, tmp_path)


# --- tus-js-client ------------------------------------------------------------------------------------------------


class TusJs:
    """tus-js-client under Node.js, a process for each life."""

    def __init__(self, service: Server, line: FaultProxy, film: Path, store: Path, protocol: str) -> None:
        if shutil.which("node") is None or not PACKAGE.exists():
            pytest.skip("node or tus-js-client is absent; `make install-dev` brings the latter")
        store.write_text("{}")  # it does not make one itself
        self._options = {
            "endpoint": f"{line.url}{UPLOADS}?filename=film.mp4",
            "file": str(film),
            "token": service.token,
            "protocol": protocol,
            "store": str(store),
        }

    def begin(self) -> subprocess.Popen[str]:
        argv = ["node", str(TUS_JS), json.dumps(self._options)]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)

    def finish(self) -> tuple[list[str], list[int], str]:
        """Go on to the end: the requests' methods, the offsets of the PATCHes, and the asset's address."""
        with self.begin() as process:
            out, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        told = json.loads(out)
        offsets = [int(offset) for method, offset in told["requests"] if method == "PATCH"]
        return [method for method, _ in told["requests"]], offsets, told["asset"]


@pytest.fixture(params=["tus-v1", "ietf-draft-05"])
def tus_js(
    request: pytest.FixtureRequest, service: Server, line: FaultProxy, film: Path, tmp_path: Path
) -> TusJs:
    return TusJs(service, line, film, tmp_path / "urls.json", request.param)


def test_tus_js_client_gets_over_a_line_that_is_cut(
    service: Server, line: FaultProxy, film: Path, tus_js: TusJs, tmp_path: Path
) -> None:
    line.set({"cut_up": CUT_BYTES})
    methods, offsets, asset = tus_js.finish()
    assert line.stats()["cuts"] >= 2
    assert methods[:4] == ["POST", "PATCH", "HEAD", "PATCH"]
    assert methods.count("POST") == 1
    assert offsets == sorted(offsets)
    assert offsets[-1] > CUT_BYTES
    is_the_film(service, asset, film, tmp_path)


def test_tus_js_client_goes_on_in_another_process_life(
    service: Server, line: FaultProxy, film: Path, tus_js: TusJs, tmp_path: Path
) -> None:
    line.set({"stall_up": CUT_BYTES})
    with tus_js.begin() as process:
        wait_until(lambda: line.stats()["up"] > CUT_BYTES // 2, 20, "it is in the middle")
        process.kill()
    line.set(
        {}
    )  # the old connection is stuck as before, and the service does not know that nobody is there any more
    methods, offsets, asset = tus_js.finish()
    assert methods == ["HEAD", "PATCH"]
    assert 0 < offsets[0] <= CUT_BYTES
    is_the_film(service, asset, film, tmp_path)
