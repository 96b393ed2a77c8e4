"""What clients do to their own requests."""

from __future__ import annotations

from typing import Any

import pytest

from media_service.errors import UploadCut
from media_service.web.requests import OwnRequest


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
