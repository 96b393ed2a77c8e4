"""What the log says of our own mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Request

from media_service.web.problems import on_bug
from media_service.wire.signatures import sign
from tests.wire.tokens import ASSET, FULL, KEY, TOKEN


@pytest.mark.parametrize("token", [sign(TOKEN, KEY), sign(FULL, KEY)])
@pytest.mark.parametrize("path", ["/t/{}/media/x/poster.jpg", "//t//{}/watch/x", "/media/x/{}", "/t/{}"])
def test_no_playback_token_is_logged(caplog: pytest.LogCaptureFixture, token: str, path: str) -> None:
    scope: Any = {
        "type": "http",
        "method": "GET",
        "path": path.format(token),
        "query_string": b"",
        "headers": [],
        "server": ("localhost", 80),
        "scheme": "http",
    }
    on_bug(Request(scope), ValueError("a mistake"))
    assert token[4:40] not in caplog.text
    assert path.format("-").replace("//", "/") in caplog.text.replace("//", "/")
    assert ASSET not in caplog.text
