"""What everything that players fetch has in common."""

from __future__ import annotations

import re

from tests.support.schema import Schema, schema
from tests.support.server import Server

__all__ = ["schema"]


def test_scripts_are_told_before_anything_is_looked_up_what_they_may_send(
    server: Server, schema: Schema
) -> None:
    paths = [path for path in schema["paths"] if "/media/{asset_id}/" in path]
    assert {"/media/{asset_id}/storyboard.vtt", "/t/{token}/media/{asset_id}/waveform.json"} < set(paths)
    with server.client(authorized=False) as client:
        for path in paths:
            answer = client.options(re.sub(r"\{\w+\}", "x", path))
            assert answer.status_code == 204, path
            assert answer.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS", path
            assert "If-Range" in answer.headers["access-control-allow-headers"], path
