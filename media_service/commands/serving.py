"""`media-service serve`: the service itself."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click
import msgspec

from media_service.commands.starting import begin
from media_service.server.sockets import CannotListen, address, bound
from media_service.server.token import TokenUnusable
from media_service.settings import InvalidSettings, load
from media_service.store.directory import DirectoryUnusable, owned

MOST_WORKERS = 64  # as the setting
# Loaded when it is known which: a supervisor has no use for the service, and would take its memory all the same.
ALONE = "media_service.commands.alone"
TOGETHER = "media_service.commands.supervising"


@click.command()
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    help="Processes that serve, in place of MEDIA_SERVICE_WORKERS.",
)
def serve(workers: int | None) -> None:
    """Start the server. All settings are environment variables (docs/settings.md)."""
    try:
        settings = load(os.environ)
    except InvalidSettings as error:
        raise click.ClickException(str(error)) from None
    if workers is not None:
        settings = msgspec.structs.replace(settings, workers=workers)
    begin(settings)
    try:
        with (
            owned(settings.data_dir) as lock,
            bound(
                host=settings.host,
                port=settings.port,
                unix_socket=settings.unix_socket,
                send_buffer_bytes=settings.send_buffer_bytes,
                unsent_bytes=settings.unsent_bytes,
            ) as sockets,
        ):
            where = address(sockets)  # known while they are open

            def on_listening() -> None:
                print(f"media_service listens on {where}", flush=True)

            run = import_module(ALONE if settings.workers == 1 else TOGETHER).run
            if status := run(settings, sockets, lock, on_listening):
                sys.exit(status)
    except (CannotListen, DirectoryUnusable, TokenUnusable) as error:
        raise click.ClickException(str(error)) from None
