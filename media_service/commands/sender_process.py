"""A sender of a service in several processes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from media_service.commands.inheriting import inherit
from media_service.commands.signing import signing_keys_of
from media_service.sender import create_sender_app
from media_service.server.moving import Way
from media_service.server.repeating import protocol_class
from media_service.server.working import SendingWorker


def run(arguments: Sequence[str]) -> None:
    """Serve until a signal says stop."""
    settings, sockets, leash, end = inherit(arguments)
    way = Way(end)
    leash.hear(way)  # the main process has brought the catalog up to date
    SendingWorker(
        create_sender_app(settings, signing_keys=signing_keys_of(settings)),
        sockets,
        leash,
        way,
        protocol=protocol_class(send_idle_seconds=settings.send_idle_seconds),
        shutdown_seconds=settings.shutdown_seconds,
    ).run()


if __name__ == "__main__":
    run(sys.argv[1:])
