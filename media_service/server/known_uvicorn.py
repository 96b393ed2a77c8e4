"""Whether this is the uvicorn that server.protocol was written for."""

from __future__ import annotations

import inspect

import uvicorn
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

# What is used of uvicorn is not its public interface: pyproject.toml asks for these versions, and this looks again.
KNOWN_UVICORN = "0.54."
KNOWN_CYCLE = "self scope transport flow logger access_logger access_log default_headers message_event expect_100_continue keep_alive on_response"


def zero_copy_support() -> str | None:
    """Why files are copied through Python here; None when they are not."""
    if not uvicorn.__version__.startswith(KNOWN_UVICORN):
        return f"uvicorn {uvicorn.__version__} is not {KNOWN_UVICORN}x"
    if " ".join(inspect.signature(RequestResponseCycle.__init__).parameters) != KNOWN_CYCLE:
        return "uvicorn's requests are not made as they were"
    return None
