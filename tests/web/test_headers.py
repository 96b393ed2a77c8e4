"""What is added to every answer, and what is left as a handler said it."""

from __future__ import annotations

from typing import Any

import pytest

from media_service.web.headers import completing, page_policy
from media_service.wire.origins import Origins

Said = list[tuple[bytes, bytes]]
LISTED: Origins = frozenset({"https://player.example"})


async def completed(path: str, said: Said, *, origins: Origins = None, asking: Said | None = None) -> Said:
    message: Any = {"type": "http.response.start", "status": 200, "headers": said}
    scope: Any = {"type": "http", "path": path, "headers": asking or []}
    await completing(origins)(message, scope)
    headers: Said = message["headers"]
    return headers


async def test_a_page_runs_its_own_files_and_is_shown_in_no_frame() -> None:
    headers = dict(await completed("/admin", [(b"content-type", b"text/html; charset=utf-8")]))
    assert headers[b"content-security-policy"].decode() == page_policy()
    assert b"camera=()" in headers[b"permissions-policy"]
    assert headers[b"cross-origin-resource-policy"] == b"same-origin"
    assert b"access-control-allow-origin" not in headers


async def test_what_a_handler_has_said_stays() -> None:
    said = [(b"content-type", b"text/html"), (b"content-security-policy", b"default-src 'none'")]
    headers = await completed("/embed/1", said)
    assert headers[:2] == said
    assert [value for name, value in headers if name == b"content-security-policy"] == [b"default-src 'none'"]


async def test_no_other_origin_reads_the_api() -> None:
    headers = dict(
        await completed("/api/v1/assets", [], origins=LISTED, asking=[(b"origin", b"https://player.example")])
    )
    assert headers[b"content-security-policy"].startswith(b"default-src 'none'")
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert b"access-control-allow-origin" not in headers
    assert b"vary" not in headers


@pytest.mark.parametrize("path", ["/media/1/original.mp4", "/t/token/media/1/original.mp4", "/t/"])
async def test_films_are_read_by_the_origins_that_are_allowed(path: str) -> None:
    for origin, allowed in ((b"https://player.example", True), (b"https://evil.example", False)):
        headers = dict(await completed(path, [], origins=LISTED, asking=[(b"origin", origin)]))
        assert headers.get(b"access-control-allow-origin") == (origin if allowed else None)
        assert headers[b"vary"] == b"Origin"
        anybody = dict(await completed(path, [], asking=[(b"origin", origin)]))
        assert anybody[b"access-control-allow-origin"] == b"*"
        assert b"vary" not in anybody


async def test_another_vary_does_not_hide_that_the_answer_depends_on_the_origin() -> None:
    headers = await completed("/media/1/x", [(b"vary", b"Accept")], origins=LISTED)
    assert [value for name, value in headers if name == b"vary"] == [b"Accept", b"Origin"]


async def test_pieces_of_a_body_are_left_alone() -> None:
    message: Any = {"type": "http.response.body", "body": b"x"}
    scope: Any = {"type": "http", "path": "/", "headers": []}
    await completing(None)(message, scope)
    assert message == {"type": "http.response.body", "body": b"x"}
