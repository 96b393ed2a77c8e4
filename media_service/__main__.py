"""The command line: `media-service`, or `python -m media_service`. What there is to do lies in `commands`."""

from __future__ import annotations

from importlib import import_module

import click

from media_service import __version__

# Where each command is, below media_service.commands.
COMMANDS = {
    "serve": "serving:serve",
    "import": "importing:import_films",
    "export": "exporting:export",
    "keys": "keys:keys",
    "doctor": "examining:doctor",
}


class Lazily(click.Group):
    """Imports a command when it is called: who lists keys need not wait until all of the service is loaded."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, as people come to need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; None when there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"media_service.commands.{module}"), name)
        return command


@click.group(cls=Lazily)
@click.version_option(__version__)
def main() -> None:
    """Upload a video; seek anywhere in it, at once, exactly, on any player."""


if __name__ == "__main__":
    main()
