"""Server-Sent Events: what listeners are told, directly and through nginx, and how streams end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from media_service.web.events import HEARTBEAT_SECONDS
from tests.support.assets import assert_problem, await_state, upload
from tests.support.event_stream import EventStream, SentEvent
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


def is_whole(asset: dict[str, Any]) -> bool:
    """Whether all that is made besides its renditions is there: nothing changes any more."""
    playback, previews = asset["playback"], asset["previews"]
    made = playback["poster"] and playback["preview"] and playback["waveform"]
    return bool(made and previews and previews["complete"])


def tells_of_a_whole_film(event: SentEvent) -> bool:
    return event.name == "asset" and event.data["state"] == "ready" and is_whole(event.data)


def check_made(told: list[SentEvent | None]) -> None:
    """Behind each state of an asset it is told what is made: growing, and never less than the state said."""
    assert [event.name for event in told if event] == ["asset", "made"] * (len(told) // 2)
    before: dict[str, int] = {}
    for asset, made in zip(told[::2], told[1::2], strict=True):
        assert asset
        assert made
        assert (asset.id, made.data["id"]) == (None, asset.data["id"])
        assert made.id
        counts = {
            name: sum(stop - first for first, stop in ranges)
            for name, ranges in made.data["renditions"].items()
        }
        assert all(counts[name] >= count for name, count in before.items())
        before = counts
        for rendition in asset.data["renditions"]:
            assert rendition["made_segments"] <= counts[rendition["name"]] <= rendition["segments"]


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
            everything_told = [first, *own.until(tells_of_a_whole_film), own.next()]
            check_made(everything_told)
            told = [event for event in everything_told if event and event.name == "asset"]
            states = [event.data["state"] for event in told]
            order = ["probing", "playable", "ready"]
            assert states == sorted(states, key=order.index)
            progress = [event.data["progress"] or 0.0 for event in told]
            assert progress == sorted(progress)
            assert progress[-1] == 1.0
            numbers = [int(event.id) for event in everything_told if event and event.id]
            assert numbers == sorted(numbers)
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
        stream.until(lambda event: event.data.get("title") == "Another")


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


def test_who_was_away_when_the_film_was_deleted_is_told_so_and_then_that_it_is_over(
    server: Server, client: httpx.Client, film: bytes
) -> None:
    asset = await_state(client, upload(client, film)["id"], "ready")
    path = of(asset["id"])
    with EventStream(server, path) as stream:
        stream.until(lambda event: event.name == "made")
    with EventStream(server, ALL) as everything:
        client.delete(f"/api/v1/assets/{asset['id']}").raise_for_status()
        everything.until(lambda event: event.name == "deleted" and event.data["id"] == asset["id"])
    for place in (stream.place, "nonsense"):
        with EventStream(server, path, headers={"Last-Event-ID": place}) as late:
            assert late.head.status == 200
            told = list(iter(late.next, None))
        assert [event.name for event in told] == ["deleted", "bye"]
        assert told[0].data == {"id": asset["id"]}
        # Whoever comes back behind that, as browsers do by themselves, is told in the one way that makes them give up.
        with EventStream(server, path, headers={"Last-Event-ID": late.place}) as again:
            assert again.head.status == 404
    assert_problem(client.get(path), 404, "not_found")


@pytest.mark.parametrize("nonsense", ["abc", "9" * 18, ""])
def test_behind_a_last_event_id_that_is_none_of_ours_nobody_knows_what_was_missed(
    server: Server, client: httpx.Client, film: bytes, nonsense: str
) -> None:
    with EventStream(server, ALL, headers={"Last-Event-ID": nonsense}) as stream:
        assert stream.head.status == 200
        if nonsense:
            first = stream.next()
            assert first is not None
            assert (first.name, first.data) == ("reset", {})
            assert stream.place == first.id
        asset = upload(client, film)
        assert stream.until(lambda event: event.data.get("id") == asset["id"])[0].name == "asset"
    with EventStream(server, of(asset["id"]), headers={"Last-Event-ID": nonsense}) as stream:
        names = [event.name for event in (stream.next(), stream.next()) if event]
        assert names == (["reset", "asset"] if nonsense else ["asset", "made"])


def test_who_breaks_off_before_anything_happened_misses_nothing(
    server: Server, client: httpx.Client, film: bytes
) -> None:
    with EventStream(server, ALL) as stream:
        assert stream.begun == {"retry": "2000", "id": stream.place}
    asset = upload(client, film)
    with EventStream(server, ALL, headers={"Last-Event-ID": stream.place}) as stream:
        stream.until(lambda event: event.name == "asset" and event.data["id"] == asset["id"])


def test_events_need_a_key_and_an_asset(server: Server, client: httpx.Client) -> None:
    with server.client(authorized=False) as stranger:
        assert_problem(stranger.get(ALL), 401, "unauthorized")
        assert_problem(stranger.get(of("nothing")), 401, "unauthorized")
    assert_problem(client.get(of("nothing")), 404, "not_found")


def test_heartbeats_come_before_anybody_loses_patience() -> None:
    conf = configuration(port=1, upstream=2)
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
    idle = server.open_sockets()
    for _ in range(3):
        with ExitStack() as stack:
            streams = [stack.enter_context(EventStream(server, path)) for path in (ALL, of(asset["id"])) * 10]
            assert server.open_sockets() >= idle + len(streams)
        wait_until(lambda: server.open_sockets() <= idle, 10, "their connections are closed")
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
