"""Files are sent without a copy with the uvicorn that is known, and with any other one they are still sent."""

from __future__ import annotations

import pytest
import uvicorn

from media_service.server import known_uvicorn
from media_service.server.known_uvicorn import zero_copy_support
from media_service.server.plain import Protocol
from media_service.server.repeating import protocol_class
from tests.server.messages import Played, memory, start
from tests.support.raw_http import RawConnection
from tests.support.served_app import LOOPS, served


@pytest.mark.parametrize("loop", LOOPS)
def test_another_uvicorn_is_used_as_it_is(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert zero_copy_support() is None
    monkeypatch.setattr(known_uvicorn, "KNOWN_CYCLE", "self scope")
    assert zero_copy_support() == "uvicorn's requests are not made as they were"
    monkeypatch.setattr(uvicorn, "__version__", "0.99.1")
    assert zero_copy_support() == "uvicorn 0.99.1 is not 0.54.x"
    assert protocol_class() is Protocol
    app = Played(json=[start(2), memory(b"{}", more=False)])
    with served(app, loop, http=protocol_class()) as server, RawConnection(server.port) as client:
        client.request("GET", "/json", {"Connection": "close"})
        assert client.rest().endswith(b"{}")
    assert "extensions" not in app.scopes[0]
