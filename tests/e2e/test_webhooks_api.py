"""Webhooks on a real server: made, told, listed and deleted; and what a kill in between does not lose."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from media_service.store.webhooks import EVENTS
from media_service.wire.webhook_signatures import signed_headers
from tests.support.api import listed
from tests.support.assets import assert_problem, await_state, upload
from tests.support.films import Film, Films
from tests.support.processes import wait_until
from tests.support.receiver import Got, running_receiver
from tests.support.server import Server, running_server

WEBHOOKS = "/api/v1/webhooks"


@pytest.fixture
def admin(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def make(client: httpx.Client, url: str, **wish: Any) -> dict[str, Any]:
    answer = client.post(WEBHOOKS, json={"url": url, **wish})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    made: dict[str, Any] = answer.json()
    return made


def deliveries(client: httpx.Client, webhook: dict[str, Any], **query: str) -> dict[str, Any]:
    answer = client.get(f"{WEBHOOKS}/{webhook['id']}/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def assert_signed(got: Got, webhook: dict[str, Any]) -> None:
    expected = signed_headers(
        webhook["secret"], got.headers["webhook-id"], int(got.headers["webhook-timestamp"]), got.body
    )
    assert got.headers["webhook-signature"] == expected["webhook-signature"]


def test_what_becomes_of_films_is_told_and_listed(tmp_path: Path, films: Films) -> None:
    film = films.film(Film(seconds=1, moov_at_end=False))
    cut = film.read_bytes()[:30_000]
    with (
        running_receiver() as receiver,
        running_server(tmp_path, webhook_private_targets=True) as server,
        server.client() as client,
    ):
        webhook = make(client, receiver.url("/told?key=1", host="localhost"))
        ready_only = make(client, receiver.url("/ready"), event_types=["asset.ready"])
        whole = upload(client, film)["id"]
        broken = upload(client, cut, "broken.mp4")["id"]
        await_state(client, whole, "ready")
        await_state(client, broken, "failed")
        told = receiver.wait_for(6)
        wait_until(
            lambda: all(one["state"] == "delivered" for one in deliveries(client, webhook)["items"]),
            10,
            "all is delivered",
        )
        kept = deliveries(client, webhook)["items"]
        assert len(deliveries(client, ready_only)["items"]) == 1
        page = deliveries(client, webhook, limit="3")
        following = deliveries(client, webhook, limit="3", cursor=page["next_cursor"])
        assert page["items"] + following["items"] == kept
        assert following["next_cursor"] is None
    for got in told:
        assert_signed(got, webhook if got.path == "/told?key=1" else ready_only)
        assert got.headers["user-agent"].startswith("media_service/")
    bodies = [json.loads(got.body) for got in told if got.path == "/told?key=1"]
    of = {name: [body["type"] for body in bodies if body["data"]["id"] == name] for name in (whole, broken)}
    assert of == {
        whole: ["upload.finished", "asset.playable", "asset.ready"],
        broken: ["upload.finished", "asset.failed"],
    }
    [failed] = [body for body in bodies if body["type"] == "asset.failed"]
    assert failed["data"]["error"]["code"] == "truncated_media"
    assert failed["data"]["filename"] == "broken.mp4"
    [ready] = [body for body in bodies if body["type"] == "asset.ready"]
    assert ready["data"]["state"] == "ready"
    assert ready["data"]["duration"] > 0
    assert {one["id"] for one in kept} == {got.headers["webhook-id"] for got in told if got.path != "/ready"}
    assert {(one["attempts"], one["last_status"], one["next_at"]) for one in kept} == {(1, 204, None)}
    assert [one["created_at"] for one in kept] == sorted((one["created_at"] for one in kept), reverse=True)


def test_a_kill_between_state_and_delivery_loses_nothing(tmp_path: Path, films: Films) -> None:
    with running_receiver(lambda _: None) as receiver:
        with running_server(tmp_path, webhook_private_targets=True, transcode_workers=0) as server:
            with server.client() as client:
                webhook = make(client, receiver.url())
                asset_id = upload(client, films.film())["id"]
                await_state(client, asset_id, "playable")
            receiver.wait_for(1)
            server.kill()
        receiver.answer = lambda _: 200
        with (
            running_server(tmp_path, webhook_private_targets=True, transcode_workers=0) as server,
            server.client() as client,
        ):
            # The one that was under way comes a second time, after its wait; the one behind it for the first time.
            told = receiver.wait_for(3)
            wait_until(
                lambda: [one["state"] for one in deliveries(client, webhook)["items"]] == ["delivered"] * 2,
                10,
                "both are delivered",
            )
            kept = {one["event"]: one for one in deliveries(client, webhook)["items"]}
    assert kept["upload.finished"]["attempts"] == 2
    assert kept["asset.playable"]["attempts"] == 1
    ids = [got.headers["webhook-id"] for got in told]
    assert sorted(ids) == sorted([kept["upload.finished"]["id"]] * 2 + [kept["asset.playable"]["id"]])
    for got in told:
        assert_signed(got, webhook)


def test_through_kills_at_any_moment_each_film_is_told_and_no_other(tmp_path: Path, films: Films) -> None:
    film = films.film(Film(seconds=1))
    chance = random.Random(5)
    acknowledged: set[str] = set()
    with running_receiver() as receiver:
        webhook: dict[str, Any] = {}
        for _ in range(4):
            with running_server(tmp_path, webhook_private_targets=True, transcode_workers=0) as server:
                with server.client() as client:
                    webhook = webhook or make(client, receiver.url())
                    for _ in range(3):
                        acknowledged.add(upload(client, film)["id"])
                    time.sleep(chance.uniform(0, 0.4))  # the moment of the kill, not something awaited
                server.kill()
        with (
            running_server(tmp_path, webhook_private_targets=True, transcode_workers=0) as server,
            server.client() as client,
        ):
            known = {one["id"] for one in listed(client)}
            assert acknowledged <= known
            for asset_id in known:
                await_state(client, asset_id, "playable")
            wait_until(
                lambda: all(
                    one["state"] == "delivered" for one in deliveries(client, webhook, limit="200")["items"]
                ),
                40,
                "all is delivered",
            )
    told = {(body["data"]["id"], body["type"]) for body in (json.loads(got.body) for got in receiver.got)}
    assert told == {
        (asset_id, event) for asset_id in known for event in ("upload.finished", "asset.playable")
    }
    for got in receiver.got:
        assert_signed(got, webhook)


def test_a_receiver_that_hangs_delays_no_film_and_no_end(tmp_path: Path, films: Films) -> None:
    with (
        running_receiver(lambda _: None) as receiver,
        running_server(tmp_path, webhook_private_targets=True) as server,
    ):
        with server.client() as client:
            make(client, receiver.url())
            asset_id = upload(client, films.film())["id"]
            await_state(client, asset_id, "ready")
            receiver.wait_for(1)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 8


def test_a_webhook_is_listed_without_its_secret_until_it_is_deleted(admin: httpx.Client) -> None:
    made = make(admin, "https://hooks.example.com:8443/a?b=c")
    assert made["secret"].startswith("whsec_")
    assert made["event_types"] == sorted(EVENTS)
    other = make(admin, "http://hooks.example.com/", event_types=["asset.ready", "asset.failed"])
    assert other["event_types"] == ["asset.failed", "asset.ready"]
    assert other["secret"] != made["secret"]
    answer = admin.get(WEBHOOKS)
    assert answer.headers["cache-control"] == "no-store"
    assert "whsec_" not in answer.text
    there = {one["id"]: one for one in answer.json()["items"]}
    assert there[made["id"]] == {name: made[name] for name in ("id", "url", "event_types", "created_at")}
    assert deliveries(admin, made) == {"items": [], "next_cursor": None}
    for one in (made, other):
        assert admin.delete(f"{WEBHOOKS}/{one['id']}").status_code == 204
        assert_problem(admin.delete(f"{WEBHOOKS}/{one['id']}"), 404, "not_found")
        assert_problem(admin.get(f"{WEBHOOKS}/{one['id']}/deliveries"), 404, "not_found")
    assert made["id"] not in admin.get(WEBHOOKS).text


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "[::1]", "[::ffff:127.0.0.1]",
     "[64:ff9b::7f00:1]", "10.0.0.1", "169.254.169.254", "0xa9fea9fe", "100.64.0.1", "224.0.0.1", "[fe80::1]"],
)  # fmt: skip
def test_a_private_address_is_refused_at_once_in_any_spelling(admin: httpx.Client, host: str) -> None:
    assert_problem(admin.post(WEBHOOKS, json={"url": f"http://{host}:8000/"}), 403, "target_refused")


def test_a_name_that_leads_to_a_private_address_is_not_called(
    server: Server, admin: httpx.Client, films: Films
) -> None:
    with running_receiver() as receiver:
        webhook = make(admin, receiver.url(host="localhost"), event_types=["upload.finished"])
        asset = upload(admin, films.film())
        try:

            def tried() -> bool:
                return any(one["last_error"] for one in deliveries(admin, webhook)["items"])

            wait_until(tried, 20, "the delivery was tried")
            [kept] = deliveries(admin, webhook)["items"]
            assert (kept["state"], kept["attempts"], kept["last_status"]) == ("waiting", 1, None)
            assert "loopback" in kept["last_error"]
            assert kept["next_at"] is not None
            assert kept["asset_id"] == asset["id"]
        finally:
            assert admin.delete(f"{WEBHOOKS}/{webhook['id']}").status_code == 204
            assert admin.delete(f"/api/v1/assets/{asset['id']}").status_code == 204
    assert not receiver.got


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"url": ""},
        {"url": 1},
        {"url": "ftp://example.com/"},
        {"url": "file:///etc/passwd"},
        {"url": "http://user:secret@example.com/"},
        {"url": "http://example.com\\@127.0.0.1/"},
        {"url": "http://example.com/\r\nx: y"},
        {"url": "http://①②⑦.0.0.1/"},
        {"url": "http://example.com/" + "a" * 2000},
        {"url": "http://example.com/", "event_types": []},
        {"url": "http://example.com/", "event_types": ["asset.deleted"]},
        {"url": "http://example.com/", "event_types": "asset.ready"},
        {"url": "http://example.com/", "secret": "whsec_mine"},
        [],
        None,
    ],
)
def test_a_wish_that_does_not_fit_is_refused(admin: httpx.Client, wish: object) -> None:
    assert_problem(admin.post(WEBHOOKS, json=wish), 400, "invalid_request")


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"cursor": "x"}])
def test_a_page_that_is_none_is_refused(admin: httpx.Client, query: dict[str, str]) -> None:
    webhook = make(admin, "https://hooks.example.com/")
    answer = admin.get(f"{WEBHOOKS}/{webhook['id']}/deliveries", params=query)
    assert_problem(answer, 400, "invalid_request")
    assert admin.delete(f"{WEBHOOKS}/{webhook['id']}").status_code == 204
