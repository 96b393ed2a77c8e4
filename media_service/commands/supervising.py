"""A service in several processes (WORKERS): what they share is made here, once, and then they are watched."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from media_service.commands.inheriting import inheritance
from media_service.commands.signing import signing_keys_of
from media_service.server.supervisor import Role, Supervisor
from media_service.server.token import admin_token, signing_keys
from media_service.settings import PREFIX, Settings

ADMIN_TOKEN = f"{PREFIX}ADMIN_TOKEN"
SIGNING_KEYS = f"{PREFIX}SIGNING_KEYS"
MODULES: dict[Role, str] = {
    "main": "media_service.commands.main_process",
    "sender": "media_service.commands.sender_process",
}


def run(settings: Settings, sockets: list[socket.socket], lock: int, on_listening: Callable[[], None]) -> int:
    """Have `settings.workers` processes serve on `sockets` until a signal says stop: the exit status. Raises TokenUnusable.

    `lock` is the descriptor that the data directory is owned with: the main process holds it as well.
    """

    def command(role: Role, leash: int, way: int) -> list[str]:
        held = lock if role == "main" else -1
        return [*interpreter(), "-m", MODULES[role], *inheritance(sockets, leash, way, held)]

    def environment(role: Role) -> dict[str, str]:
        return {**shared, **for_main} if role == "main" else shared

    signing_keys_of(settings)  # usable, or it says why not
    for_main = {ADMIN_TOKEN: admin_token(settings.admin_token, settings.data_dir)}
    shared = {**os.environ, SIGNING_KEYS: signing_keys(settings.signing_keys, settings.data_dir)}
    shared.pop(ADMIN_TOKEN, None)  # nobody signs in at a sender
    return Supervisor(
        command,
        workers=settings.workers,
        sockets=sockets,
        lock=lock,
        environment=environment,
        on_listening=on_listening,
    ).run()


def interpreter() -> list[str]:
    """Python as it was begun here: `-m` puts the working directory before all that is installed, a console script does not."""
    return [sys.executable] if sys.path[0] in ("", str(Path.cwd())) else [sys.executable, "-P"]
