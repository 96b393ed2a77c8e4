"""Assets through the API: put a film in, wait for what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from tests.support.processes import wait_until

READY_SECONDS = 60.0


def upload(client: httpx.Client, film: Path | bytes, filename: str = "film.mp4") -> dict[str, Any]:
    """Upload with PUT; the asset's JSON."""
    content = film.read_bytes() if isinstance(film, Path) else film
    answer = client.put("/api/v1/assets", params={"filename": filename}, content=content)
    assert answer.status_code == 201, answer.text
    asset: dict[str, Any] = answer.json()
    return asset


def await_state(client: httpx.Client, asset_id: str, *states: str) -> dict[str, Any]:
    """The asset's JSON once it is in one of `states`. Raises TimeoutError."""
    asset: dict[str, Any] = {}

    def arrived() -> bool:
        asset.update(client.get(f"/api/v1/assets/{asset_id}").raise_for_status().json())
        assert asset["state"] in states or asset["state"] != "failed", asset["error"]
        return asset["state"] in states

    wait_until(arrived, READY_SECONDS, f"{asset_id} is {' or '.join(states)}")
    return asset


def await_extras(client: httpx.Client, asset_id: str) -> dict[str, Any]:
    """The asset's JSON once all is there that is made beside its renditions: nothing starts by itself any more."""
    asset: dict[str, Any] = {}

    def there() -> bool:
        asset.update(client.get(f"/api/v1/assets/{asset_id}").raise_for_status().json())
        previews, playback = asset["previews"], asset["playback"]
        seen = not asset["width"] or (
            previews and previews["complete"] and playback["poster"] and playback["preview"]
        )
        heard = playback["waveform"] or all(one["kind"] != "audio" for one in asset["renditions"])
        return bool(seen and heard)

    wait_until(there, READY_SECONDS, f"{asset_id} has its previews, its clip and its waveform")
    return asset


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of an error answer, which must be problem+json (RFC 9457) with `status` and `code`."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    assert (body["type"], body["status"], body["code"]) == ("about:blank", status, code)
    assert body["title"]
    return body
