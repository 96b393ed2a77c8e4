"""What commands print: colours for people at a terminal, plain lines for files and pipes, JSON for programs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console

_SURROGATE = re.compile("[\ud800-\udfff]")
F = TypeVar("F", bound=Callable[..., Any])


def as_json(command: F) -> F:
    """The option `--json` of a command, as its argument `in_json`."""
    return click.option("--json", "in_json", is_flag=True, help="Print JSON, for programs.")(command)


def terminal(*, errors: bool = False) -> Console:
    """Where to print. Lines are never broken: who pipes them to `grep` wants them whole."""
    return Console(file=sys.stderr if errors else sys.stdout, soft_wrap=True, highlight=False, emoji=False)


def print_json(value: object) -> None:
    """One value as one line of JSON."""
    click.echo(msgspec.json.encode(value).decode())


def unicode(text: str) -> str:
    """`text` without what JSON cannot hold: Python keeps bytes of file names that are no UTF-8 as lone surrogates."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def plain(text: str) -> str:
    """`text` without what would move a terminal's cursor, or is no Unicode: names of files may have anything in them."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
