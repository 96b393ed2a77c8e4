"""What clients do to their own requests."""

from __future__ import annotations

from typing import Any

import pytest

from media_service.errors import NotFound, UploadCut
from media_service.web.requests import OwnRequest, refuse_empty_segments


def request(*messages: dict[str, Any]) -> OwnRequest:
    """A request whose body comes in these messages."""
    incoming = iter(messages)
    scope: Any = {"type": "http", "method": "POST", "headers": [], "state": {}}
    asked = OwnRequest(scope, receive=lambda: received(incoming))
    asked.scope["route_handler"] = Unlimited()  # type: ignore[typeddict-item] # likewise
    return asked


class Unlimited:
    """The part of a handler that reading a body asks."""

    def resolve_request_max_body_size(self) -> None:
        return None


async def received(incoming: Any) -> Any:
    return next(incoming)


async def test_a_client_that_leaves_before_the_end_is_no_bug_of_ours() -> None:
    begun = {"type": "http.request", "body": b"{", "more_body": True}
    with pytest.raises(UploadCut):
        await request(begun, {"type": "http.disconnect"}).body()


def at(raw_path: bytes) -> OwnRequest:
    scope: Any = {"type": "http", "method": "GET", "raw_path": raw_path, "headers": [], "state": {}}
    return OwnRequest(scope)


@pytest.mark.parametrize(
    "path", [b"//", b"//a", b"/a//b", b"/a/b//", b"/a/%2Fb", b"/a%2f%2Fb", b"/%2F", b"/\xff//"]
)
async def test_a_path_with_an_empty_part_is_nobodys(path: bytes) -> None:
    with pytest.raises(NotFound):
        await refuse_empty_segments(at(path))


@pytest.mark.parametrize("path", [b"/", b"/a", b"/a/", b"/a/b%252F%252Fc", b"/a:%5C%5C", b"/\xff"])
async def test_a_path_without_one_is_looked_for(path: bytes) -> None:
    await refuse_empty_segments(at(path))
