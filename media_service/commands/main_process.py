"""The main process of a service in several: all of the service, and what the senders leave to it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from media_service.app import create_app, stopping
from media_service.commands.inheriting import inherit
from media_service.commands.signing import signing_keys_of
from media_service.server.repeating import protocol_class
from media_service.server.working import MainWorker
from media_service.web.shortcut import Shortcut


def run(arguments: Sequence[str]) -> None:
    """Serve until a signal says stop."""
    settings, sockets, leash, taking = inherit(arguments)
    app = create_app(settings, admin_token=settings.admin_token, signing_keys=signing_keys_of(settings))
    MainWorker(
        Shortcut(app),
        sockets,
        leash,
        taking,
        protocol=protocol_class(send_idle_seconds=settings.send_idle_seconds),
        shutdown_seconds=settings.shutdown_seconds,
        on_stopping=lambda: stopping(app),
    ).run()


if __name__ == "__main__":
    run(sys.argv[1:])
