"""The service in one process: what `serve` runs unless WORKERS says otherwise."""

from __future__ import annotations

import socket
from collections.abc import Callable

from media_service.app import create_app, stopping
from media_service.commands.signing import signing_keys_of
from media_service.server.listener import Listener
from media_service.server.repeating import protocol_class
from media_service.server.token import admin_token
from media_service.settings import Settings
from media_service.web.shortcut import Shortcut


def run(
    settings: Settings, sockets: list[socket.socket], _lock: int, on_listening: Callable[[], None]
) -> int:
    """Serve on `sockets` until a signal says stop: the exit status. Raises TokenUnusable."""
    app = create_app(
        settings,
        admin_token=admin_token(settings.admin_token, settings.data_dir),
        signing_keys=signing_keys_of(settings),
    )
    Listener(
        Shortcut(app),
        protocol=protocol_class(send_idle_seconds=settings.send_idle_seconds),
        shutdown_seconds=settings.shutdown_seconds,
        on_listening=on_listening,
        on_stopping=lambda: stopping(app),
    ).run(sockets)
    return 0
