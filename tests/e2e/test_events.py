"""Server-Sent Events: what listeners are told, directly and through nginx, and how streams end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from media_service.web.events import HEARTBEAT_SECONDS
from tests.support.assets import assert_problem, await_state, upload
from tests.support.event_stream import EventStream
from tests.support.films import Film, Films
from tests.support.nginx import Nginx, configuration
from tests.support.processes import wait_until
from tests.support.server import Server, running_server

ALL = "/api/v1/events"


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def film(films: Films) -> bytes:
    return films.film(Film(seconds=2)).read_bytes()


@pytest.fixture(params=["direct", "nginx"])
def port(request: pytest.FixtureRequest, server: Server, nginx: Nginx) -> int:
    return server.port if request.param == "direct" else nginx.port


def of(asset_id: str) -> str:
    return f"/api/v1/assets/{asset_id}/events"


def test_the_head_is_what_browsers_and_proxies_need(
    server: Server, client: httpx.Client, port: int, film: bytes
) -> None:
    asset = upload(client, film)
    for path in (ALL, of(asset["id"])):
        with EventStream(server, path, port=port) as stream:
            assert stream.head.status == 200
            assert stream.head.headers["content-type"] == "text/event-stream"
            assert stream.head.headers["cache-control"] == "no-store"
            assert "content-encoding" not in stream.head.headers


def test_a_film_s_way_is_told_from_upload_to_deletion(
    server: Server, client: httpx.Client, port: int, film: bytes
) -> None:
    with EventStream(server, ALL, port=port) as everything:
        asset = upload(client, film)
        with EventStream(server, of(asset["id"]), port=port) as own:
            first = own.next()
            assert first is not None
            assert (first.name, first.data["id"]) == ("asset", asset["id"])
            told = [first, *own.until(lambda event: event.data["state"] == "ready")]
            states = [event.data["state"] for event in told]
            order = ["probing", "playable", "ready"]
            assert states == sorted(states, key=order.index)
            progress = [event.data["progress"] or 0.0 for event in told]
            assert progress == sorted(progress)
            assert progress[-1] == 1.0
            numbers = [int(event.id) for event in told if event.id]
            assert numbers == sorted(set(numbers))
            assert told[-1].data == client.get(f"/api/v1/assets/{asset['id']}").json()
            client.delete(f"/api/v1/assets/{asset['id']}").raise_for_status()
            last = own.until(lambda event: event.name == "deleted")[-1]
            assert last.data == {"id": asset["id"]}
            # Nothing can follow: whoever listens is let go.
            bye = own.next()
            assert bye is not None
            assert bye.name == "bye"
            assert own.next() is None
        heard = everything.until(lambda event: event.name == "deleted" and event.data["id"] == asset["id"])
        mine = [event for event in heard if event.data["id"] == asset["id"]]
        assert {"ready", "playable"} & {event.data.get("state") for event in mine}


def test_the_present_state_comes_first_and_at_once(
    server: Server, client: httpx.Client, port: int, film: bytes
) -> None:
    asset = await_state(client, upload(client, film)["id"], "ready")
    with EventStream(server, of(asset["id"]), port=port) as stream:
        event = stream.next()
    assert event is not None
    assert (event.name, event.data) == ("asset", asset)


def test_a_new_title_is_told(server: Server, client: httpx.Client, port: int, film: bytes) -> None:
    asset = await_state(client, upload(client, film)["id"], "ready")
    with EventStream(server, of(asset["id"]), port=port) as stream:
        stream.next()
        client.patch(f"/api/v1/assets/{asset['id']}", json={"title": "Another"}).raise_for_status()
        stream.until(lambda event: event.data["title"] == "Another")


def test_who_comes_back_is_told_what_was_missed(
    server: Server, client: httpx.Client, port: int, film: bytes
) -> None:
    with EventStream(server, ALL, port=port) as stream:
        asset = upload(client, film)
        before = stream.until(lambda event: event.data["id"] == asset["id"])[-1]
    await_state(client, asset["id"], "ready")
    client.delete(f"/api/v1/assets/{asset['id']}").raise_for_status()
    assert before.id
    with EventStream(server, ALL, port=port, headers={"Last-Event-ID": before.id}) as stream:
        missed = stream.until(lambda event: event.name == "deleted" and event.data["id"] == asset["id"])
    assert all(int(event.id or 0) > int(before.id) for event in missed)


@pytest.mark.parametrize("nonsense", ["abc", "-1", "9" * 400, "\u00b2", ""])
def test_a_last_event_id_that_is_none_of_ours_means_from_now_on(
    server: Server, client: httpx.Client, film: bytes, nonsense: str
) -> None:
    with EventStream(server, ALL, headers={"Last-Event-ID": nonsense}) as stream:
        assert stream.head.status == 200
        asset = upload(client, film)
        stream.until(lambda event: event.data["id"] == asset["id"])


def test_events_need_a_key_and_an_asset(server: Server, client: httpx.Client) -> None:
    with server.client(authorized=False) as stranger:
        assert_problem(stranger.get(ALL), 401, "unauthorized")
        assert_problem(stranger.get(of("nothing")), 401, "unauthorized")
    assert_problem(client.get(of("nothing")), 404, "not_found")


def test_heartbeats_come_before_anybody_loses_patience() -> None:
    conf = configuration(port=1, upstream_port=2)
    events = conf[conf.index("?events$") :]
    assert "send_timeout 60s" in events
    assert HEARTBEAT_SECONDS <= 30


def test_streams_end_at_once_when_the_service_stops(tmp_path: Path, film: bytes) -> None:
    with running_server(tmp_path, transcode_workers=0) as service, ExitStack() as stack:
        with service.client() as client:
            asset = upload(client, film)
        streams = [
            stack.enter_context(EventStream(service, path))
            for path in (ALL, of(asset["id"]), ALL, of(asset["id"]))
        ]
        started = time.monotonic()
        service.stop()
        assert time.monotonic() - started < 5, "streams held the service up"
        for stream in streams:
            assert stream.until(lambda event: event.name == "bye")[-1].data == {}
            assert stream.next() is None


def test_listeners_that_leave_leave_nothing(server: Server, client: httpx.Client, film: bytes) -> None:
    asset = await_state(client, upload(client, film)["id"], "ready")
    idle = server.open_descriptors()
    for _ in range(3):
        with ExitStack() as stack:
            streams = [stack.enter_context(EventStream(server, path)) for path in (ALL, of(asset["id"])) * 10]
            assert server.open_descriptors() >= idle + len(streams)
        wait_until(lambda: server.open_descriptors() <= idle, 10, "their connections are closed")
    assert "Task was destroyed" not in server.log_text()
    assert "Traceback" not in server.log_text()


def test_a_stream_ends_with_the_key_that_opened_it(server: Server, client: httpx.Client, film: bytes) -> None:
    made = client.post("/api/v1/keys", json={"name": "listener", "scopes": ["read"]}).json()
    key = {"Authorization": f"Bearer {made['key']}"}
    asset = upload(client, film)
    with EventStream(server, ALL, headers=key) as stream:
        client.patch(f"/api/v1/assets/{asset['id']}", json={"title": "While it listens"})
        stream.until(lambda event: event.data.get("title") == "While it listens")
        assert client.delete(f"/api/v1/keys/{made['id']}").status_code == 204
        client.patch(f"/api/v1/assets/{asset['id']}", json={"title": "No more of its business"})
        rest = list(iter(stream.next, None))
    assert rest[-1].name == "bye"
    assert all(event.data.get("title") != "No more of its business" for event in rest)
    with EventStream(server, ALL, headers=key) as stream:
        assert stream.head.status == 401
