"""The service, telling how often it answers without asking its application (media_service/server/repeats.py).

`python -m tests.support.repeats_told serve` is `python -m media_service serve`, in several processes too. Each of those that
answer prints a line of JSON at the first such answer, the tenth, the hundredth and so on. Nothing of the product knows of it.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Any

from media_service.__main__ import main
from media_service.commands import supervising
from media_service.web.repeats import Part, Repeat
from media_service.web.shortcut import Shortcut

TELLS = "repeats told: "
ANSWERED = "answered"
HELD = "held"  # those of them that did not fit into the socket at once
MODULES = dict(supervising.MODULES)
COUNTED: Counter[str] = Counter()  # by this process


class Told:
    """A `server.repeats.Repeat` that counts."""

    def __init__(self, repeat: Repeat) -> None:
        self._repeat = repeat

    def part(self, wanted: str) -> Part | None:
        """As the repeat's."""
        part = self._repeat.part(wanted)
        if part is None:
            return None
        _count(ANSWERED)
        *others, hold = part

        def held() -> AbstractAsyncContextManager[object]:
            _count(HELD)
            return hold()

        return (*others, held)  # type: ignore[return-value] # as it was


def count_repeats() -> None:
    """From here on they are counted in this process."""
    made = Shortcut.repeatable

    def repeatable(self: Shortcut, scope: Any, wanted: bytes) -> Told | None:
        repeat = made(self, scope, wanted)
        return None if repeat is None else Told(repeat)

    Shortcut.repeatable = repeatable  # type: ignore[method-assign,assignment] # that is what this module is for


def told(log: str) -> Counter[str]:
    """What the processes have told in that log, all of them together: at least as many there were."""
    most: dict[tuple[int, str], int] = {}
    for line in log.splitlines():
        if line.startswith(TELLS):
            pid, kind, count = json.loads(line.removeprefix(TELLS))
            most[pid, kind] = max(count, most.get((pid, kind), 0))
    together: Counter[str] = Counter()
    for (_, kind), count in most.items():
        together[kind] += count
    return together


def _count(kind: str) -> None:
    COUNTED[kind] += 1
    if str(COUNTED[kind]).rstrip("0") == "1":
        print(f"{TELLS}{json.dumps([os.getpid(), kind, COUNTED[kind]])}", flush=True)


def _run(arguments: list[str]) -> None:
    count_repeats()
    if arguments[0] == "serve":
        supervising.MODULES["main"] = supervising.MODULES["sender"] = "tests.support.repeats_told"
        main(arguments)
    else:
        *_, lock = arguments  # commands.inheriting: a sender has none
        import_module(MODULES["sender" if lock == "-1" else "main"]).run(arguments)


if __name__ == "__main__":
    _run(sys.argv[1:])
