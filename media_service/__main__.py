"""The command line: `python -m media_service serve`, `doctor`, `keys`."""

from __future__ import annotations

import logging
import os
import sys

import click

from media_service import __version__
from media_service.app import create_app, stopping
from media_service.doctor import examine
from media_service.keys import keys
from media_service.server.limits import raise_descriptor_limit
from media_service.server.listener import Listener
from media_service.server.token import SIGNING_KEY_FILE, TokenUnusable, admin_token, signing_keys
from media_service.settings import InvalidSettings, Settings, load, unknown
from media_service.store.directory import DirectoryUnusable, owned
from media_service.wire.signatures import read_keys


@click.group()
@click.version_option(__version__)
def main() -> None:
    """Upload a video; seek anywhere in it, at once, exactly, on any player."""


@main.command()
def serve() -> None:
    """Start the server. All settings are environment variables (docs/settings.md)."""
    try:
        settings = load(os.environ)
    except InvalidSettings as error:
        raise click.ClickException(str(error)) from None
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # Alembic tells at each start what it is made of.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # A form that does not parse is answered; as lines of a log anybody could write as many as he likes.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    raise_descriptor_limit()
    for name in unknown(os.environ):
        logging.warning("%s is not a setting of this version and does nothing", name)
    try:
        with owned(settings.data_dir):
            app = create_app(
                settings,
                admin_token=admin_token(settings.admin_token, settings.data_dir),
                signing_keys=_signing_keys(settings),
            )
            listener = Listener(
                app,
                host=settings.host,
                port=settings.port,
                shutdown_seconds=settings.shutdown_seconds,
                on_stopping=lambda: stopping(app),
            )
            listener.run()
    except (DirectoryUnusable, TokenUnusable) as error:
        raise click.ClickException(str(error)) from None


def _signing_keys(settings: Settings) -> dict[str, bytes]:
    """Raises TokenUnusable for a kept one that was spoilt: with an empty one nobody, or everybody, could sign."""
    try:
        found = read_keys(signing_keys(settings.signing_keys, settings.data_dir))
    except ValueError as error:
        raise TokenUnusable(f"{settings.data_dir / SIGNING_KEY_FILE}: {error}.") from None
    if not found:
        raise TokenUnusable(f"{settings.data_dir / SIGNING_KEY_FILE} is empty.")
    return found


main.add_command(keys)


@main.command()
def doctor() -> None:
    """Say what is installed, what of it works, and how well converters are fenced in. Exit code 1 when something is amiss."""
    found = examine(os.environ)
    for line in found:
        click.echo(f"{line.level:<5} {line.text}")
    sys.exit(1 if any(line.level == "BAD" for line in found) else 0)


if __name__ == "__main__":
    main()
