"""Runs programs behind the fence and tells what became of them: the tests' view from inside."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.spawning import spawn
from media_service.ffmpeg.walls import Walls

LIMITS = Limits()
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit status (negative: a signal), and all that it said, errors among it."""

    status: int
    said: bytes

    @property
    def text(self) -> str:
        return self.said.decode(errors="replace")


def inside(
    *argv: str, walls: Walls | None = None, source_fds: Sequence[int] = (), limits: Limits = LIMITS
) -> Ended:
    """Run `argv` to its end behind `walls` (those that the service would choose, if none are given)."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        child = spawn(argv, limits, source_fds=source_fds, stdout=writing, stderr=writing, walls=walls)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    return Ended(child.reap(PATIENCE_SECONDS), said)


def python_inside(
    script: str, *arguments: object, walls: Walls | None = None, source_fds: Sequence[int] = ()
) -> str:
    """What a Python script prints behind the fence. The system's Python: the tests' own lies where the fence lets nobody read."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip("no Python among the system's programs")
    ended = inside(
        *(python, "-I", "-c", textwrap.dedent(script), *map(str, arguments)),
        walls=walls,
        source_fds=source_fds,
    )
    assert ended.status == 0, ended.text
    return ended.text.strip()


TRIED = """
def tried(action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
"""


def refusals(script: str, *arguments: object, walls: Walls | None = None) -> dict[str, str]:
    """Run `script`, which yields from a generator `attempts()` tuples (name, function, arguments...): what each came to.

    "done", or the name of the error: "EPERM". It finds `errno`, `os`, `socket`, `sys` imported.
    """
    whole = f"import errno, os, socket, sys\n{TRIED}\n{textwrap.dedent(script)}\n"
    whole += "for name, *what in attempts():\n    print(name, tried(*what))\n"
    said = python_inside(whole, *arguments, walls=walls)
    return dict(line.split() for line in said.splitlines())
