"""Asks the service whether it is alive, where its environment says that it listens: for the image's HEALTHCHECK.

Exit status 0 if it answers GET /livez with 200 within TIMEOUT_SECONDS. Standard library only, and nothing of the service is
loaded: it is done every few seconds.
"""

from __future__ import annotations

import os
import socket
import sys
from http.client import HTTPConnection, HTTPException

TIMEOUT_SECONDS = 4


def main() -> str | None:
    """What is wrong; None if nothing is."""
    connection = HTTPConnection("localhost", timeout=TIMEOUT_SECONDS)
    try:
        with _connected() as connection.sock:
            connection.request("GET", "/livez")
            status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"no answer: {error!r}"
    return None if status == 200 else f"answered with {status}"


def _connected() -> socket.socket:
    if path := os.environ.get("MEDIA_SERVICE_UNIX_SOCKET"):
        way = socket.socket(socket.AF_UNIX)
        way.settimeout(TIMEOUT_SECONDS)
        way.connect(path)
        return way
    # Linux connects to the machine itself for 0.0.0.0 and ::, by which a server listens on all addresses.
    host = os.environ.get("MEDIA_SERVICE_HOST") or "localhost"
    port = os.environ.get("MEDIA_SERVICE_PORT") or "8000"
    return socket.create_connection((host, int(port)), TIMEOUT_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
