"""`/api/v1/assets.ndjson` and `.csv` of a real service: what they hold, and what becomes of slow, gone and cut readers."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from media_service.web.exports import ASK_SECONDS
from tests.support.assets import assert_problem, await_extras, await_state, upload
from tests.support.films import Film, Films
from tests.support.many_assets import multiply
from tests.support.processes import wait_until
from tests.support.server import Server, running_server

ASSETS = "/api/v1/assets"
NDJSON = "/api/v1/assets.ndjson"
CSV = "/api/v1/assets.csv"
MANY = 6_000


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, films: Films) -> Iterator[Server]:
    """Three films and a failed one."""
    directory = tmp_path_factory.mktemp("library")
    with running_server(directory, transcode_ahead=False) as running, running.client() as client:
        small = films.film(Film(seconds=1))
        for title in ('=HYPERLINK("x")', "Étude 10", "etude 2"):
            asset = upload(client, small, f"{title}.mp4")
            await_state(client, asset["id"], "ready")
            await_extras(client, asset["id"])  # now nothing of it changes by itself any more
        cut = films.film(Film(seconds=1, moov_at_end=False)).read_bytes()[:30_000]
        await_state(client, upload(client, cut, "broken.mp4")["id"], "failed")
        yield running


@pytest.fixture
def client(library: Server) -> Iterator[httpx.Client]:
    with library.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory, films: Films) -> Iterator[Server]:
    """So many that no buffer on the way holds an export of them."""
    directory = tmp_path_factory.mktemp("crowded")
    with running_server(directory, transcode_ahead=False, shutdown_seconds=60) as running:
        with running.client() as client:
            asset = upload(client, films.film(Film(seconds=1)))
            await_state(client, asset["id"], "playable", "ready")
        multiply(running.data_dir / "catalog.sqlite3", asset["id"], MANY)
        yield running


def items(client: httpx.Client, **params: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(ASSETS, params=params).raise_for_status().json()["items"]
    return found


def ndjson(client: httpx.Client, **params: str) -> list[dict[str, Any]]:
    text = client.get(NDJSON, params=params).raise_for_status().text
    assert text.endswith("\n") or not text
    return [json.loads(line) for line in text.splitlines()]


def table(client: httpx.Client, **params: str) -> list[dict[str, str]]:
    answer = client.get(CSV, params=params).raise_for_status()
    assert answer.content.endswith(b"\r\n")
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


# --- what it holds --------------------------------------------------------------------------------------------


def test_lines_of_json_are_what_the_list_says(client: httpx.Client) -> None:
    assert ndjson(client) == items(client)
    for params in ({"sort": "title", "order": "asc"}, {"q": "ETUDE"}, {"state": "failed"}, {"q": "nothing"}):
        assert ndjson(client, **params) == items(client, **params)
    assert [asset["title"] for asset in ndjson(client, sort="title", order="asc", q="tude")] == [
        "etude 2",
        "Étude 10",
    ]


def test_a_table_has_the_same_assets_in_columns(client: httpx.Client) -> None:
    rows, found = table(client, sort="size", order="asc"), items(client, sort="size", order="asc")
    assert [row["id"] for row in rows] == [asset["id"] for asset in found]
    for row, asset in zip(rows, found, strict=True):
        assert (row["state"], row["sha256"], row["size"]) == (
            asset["state"],
            asset["sha256"],
            str(asset["size"]),
        )
        assert row["title"].removeprefix("'") == asset["title"]
        assert row["watch"] == asset["playback"]["watch"]
    [failed] = (row for row in rows if row["state"] == "failed")
    assert (failed["error_code"], failed["duration"], failed["hls"]) == ("truncated_media", "", "")
    ready = next(row for row in rows if row["state"] != "failed")
    assert (ready["duration"], ready["width"], ready["height"]) == ("1.0", "320", "180")
    assert (ready["video_codec"], ready["audio_codec"], ready["renditions"]) == (
        "h264",
        "aac",
        "source audio",
    )
    assert ready["seekability"] in {"excellent", "good"}


def test_titles_are_no_formulas(client: httpx.Client) -> None:
    text = client.get(CSV, params={"columns": "title", "q": "hyperlink"}).text
    assert text == '"title"\r\n"\'=HYPERLINK(""x"")"\r\n'


def test_columns_can_be_chosen(client: httpx.Client) -> None:
    assert [list(row) for row in table(client, columns="size,id")] == [["size", "id"]] * 4
    assert ndjson(client, columns="title,id") == [
        {"title": asset["title"], "id": asset["id"]} for asset in items(client)
    ]
    assert client.get(CSV, params={"q": "nothing", "columns": "id"}).text == '"id"\r\n'


def test_the_answer_is_a_file_with_a_date(client: httpx.Client) -> None:
    for path, media_type in (
        (NDJSON, "application/x-ndjson"),
        (CSV, "text/csv; charset=utf-8; header=present"),
    ):
        for answer in (client.get(path), client.head(path)):
            assert answer.headers["content-type"] == media_type
            assert re.fullmatch(
                rf'attachment; filename="assets-\d{{4}}-\d\d-\d\d\.{path.rpartition(".")[2]}"',
                answer.headers["content-disposition"],
            )
            assert answer.headers["cache-control"] == "no-store"
        assert not answer.content


@pytest.mark.parametrize(
    "params",
    [
        {"columns": ""},
        {"columns": "id,nothing"},
        {"columns": "id,id"},
        {"columns": "x" * 1001},
        {"state": "sleeping"},
        {"sort": "colour"},
        {"order": "up"},
        {"q": "x" * 201},
    ],
)
def test_parameters_that_do_not_fit_are_refused(client: httpx.Client, params: dict[str, str]) -> None:
    for path in (NDJSON, CSV):
        assert assert_problem(client.get(path, params=params), 400, "invalid_request")["detail"]


def test_a_key_that_may_not_read_exports_nothing(library: Server, client: httpx.Client) -> None:
    made = (
        client.post("/api/v1/keys", json={"name": "sender", "scopes": ["upload"]}).raise_for_status().json()
    )
    answer = client.get(CSV, headers={"Authorization": f"Bearer {made['key']}"})
    assert_problem(answer, 403, "forbidden")


# --- readers that are slow, gone or cut -----------------------------------------------------------------------


def test_memory_stays_flat(crowded: Server) -> None:
    with crowded.client() as client:
        client.get(NDJSON, params={"q": "part 77"}).raise_for_status()
        before, most, lines = crowded.rss_bytes(), 0, 0
        with client.stream("GET", CSV, params={"sort": "title"}) as answer:
            for number, piece in enumerate(answer.iter_bytes()):
                lines += piece.count(b"\r\n")
                if not number % 20:
                    most = max(most, crowded.rss_bytes())
    assert lines == 1 + MANY + 1
    assert most - before < 16 << 20


def test_slow_readers_keep_nobody_waiting_and_there_are_so_many_of_them(crowded: Server) -> None:
    with ExitStack() as stack, crowded.client() as client:
        before = items(client, limit="1")[0]["id"]
        for _ in range(4):
            slow = stack.enter_context(crowded.client())
            reading = stack.enter_context(slow.stream("GET", NDJSON))
            assert reading.status_code == 200
        answer = client.get(NDJSON)
        assert_problem(answer, 429, "too_many_exports")
        assert answer.headers["retry-after"]
        changed = client.patch(f"{ASSETS}/{before}", json={"title": "Changed meanwhile"})
        assert changed.status_code == 200
    with crowded.client() as client:
        # Those who have gone are noticed at once, not when their time is up.
        wait_until(
            lambda: client.get(NDJSON, params={"q": "Changed"}).is_success, 30, "the gone have made room"
        )


def test_an_export_ends_with_the_key_that_asked_for_it(crowded: Server) -> None:
    with crowded.client() as client, crowded.client(authorized=False) as reader:
        made = client.post("/api/v1/keys", json={"name": "reader", "scopes": ["read"]}).json()
        reader.headers["Authorization"] = f"Bearer {made['key']}"
        with reader.stream("GET", NDJSON) as answer:
            assert answer.status_code == 200
            client.delete(f"/api/v1/keys/{made['id']}").raise_for_status()
            time.sleep(ASK_SECONDS)  # it is asked for again no sooner
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                answer.read()


def test_a_service_that_stops_breaks_exports_off_at_once(crowded: Server) -> None:
    """The last that is done with it."""
    with crowded.client() as client, client.stream("GET", NDJSON) as answer:
        crowded.stop()  # nobody reads, and it does not wait for that
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            answer.read()
