"""The service on either event loop, and a look inside it: what it holds, as it sees it itself.

`python -m tests.support.watched_service asyncio|uvloop` is `python -m media_service serve` on that loop. At SIGUSR1 it
prints one line of JSON: its tasks, its connections and what it answered without its application. Nothing of the product knows
of it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import uvicorn.config
import uvloop

from media_service.__main__ import main
from tests.support.processes import wait_until
from tests.support.repeats_told import ANSWERED, COUNTED, HELD, count_repeats
from tests.support.server import Server, running_server

Loop = Literal["asyncio", "uvloop"]
LOOPS: tuple[Loop, ...] = ("uvloop", "asyncio")
TELLS = "watched service: "
LOOK_SECONDS = 10.0
SETTLE_SECONDS = 20.0
LOOKS = 5


class Inside(NamedTuple):
    """What the service holds. Threads are left out: its pool of them grows to its bound and stays."""

    loop: str
    tasks: tuple[str, ...]
    connections: int
    responses: int  # uvicorn's objects of them, ended ones as well as long as something holds them
    descriptors: int
    repeats: int  # answers without the application, ever
    held: int  # those of them that did not fit into the socket at once

    def is_within(self, before: Inside) -> bool:
        """Whether it is no more of anything than before."""
        return all(now <= then for now, then in zip(_counts(self), _counts(before), strict=True))


class WatchedServer:
    """A running service that can be looked into. Made by `running_watched`."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def inside(self) -> Inside:
        """What it holds now. Raises TimeoutError when its event loop does not turn."""
        before = len(self._told())
        os.kill(self.server.pid, signal.SIGUSR1)
        wait_until(lambda: len(self._told()) > before, LOOK_SECONDS, "the service tells what it holds")
        told = json.loads(self._told()[before])
        return Inside(
            told["loop"],
            tuple(told["tasks"]),
            told["connections"],
            told["responses"],
            self.server.open_descriptors(),
            told["repeats"],
            told["held"],
        )

    def idle(self) -> Inside:
        """What it holds for good, once nobody is connected: of several looks the one with the fewest tasks.

        Each of its duties has one now and then. Raises TimeoutError when somebody stays.
        """
        wait_until(lambda: not self.inside().connections, SETTLE_SECONDS, "nobody is connected")
        return min((self.inside() for _ in range(LOOKS)), key=lambda seen: len(seen.tasks))

    def settled(self, before: Inside) -> Inside:
        """What it holds, once that is no more than `before`; what it held last when that takes too long."""
        seen = [before]

        def no_more() -> bool:
            seen.append(self.inside())
            return seen[-1].is_within(before)

        try:
            wait_until(no_more, SETTLE_SECONDS, "it holds no more than before")
        except TimeoutError:
            return seen[-1]  # the caller compares, and shows the difference
        return seen[-1]

    def _told(self) -> list[str]:
        lines = self.server.log.read_text(errors="replace").split("\n")[:-1]  # whole lines only
        return [line.removeprefix(TELLS) for line in lines if line.startswith(TELLS)]


@contextmanager
def running_watched(directory: Path, loop: Loop, **settings: object) -> Iterator[WatchedServer]:
    """`running_server` on that event loop."""
    module = ["tests.support.watched_service", loop]
    with running_server(directory, module=module, **settings) as server:
        watched = WatchedServer(server)
        assert watched.inside().loop == loop
        yield watched


def _counts(inside: Inside) -> tuple[int, ...]:
    return len(inside.tasks), inside.connections, inside.responses, inside.descriptors


def watched_loop(use_subprocess: bool = False) -> Callable[[], asyncio.AbstractEventLoop]:  # uvicorn's
    """What uvicorn calls for the loop to run on: the one named on the command line, with the look inside."""

    def made() -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop() if sys.argv[1] == "asyncio" else uvloop.new_event_loop()
        loop.add_signal_handler(signal.SIGUSR1, _tell, loop)
        return loop

    return made


def _tell(loop: asyncio.AbstractEventLoop) -> None:
    gc.collect()
    kinds = [type(one).__mro__ for one in gc.get_objects()]
    told: dict[str, Any] = {
        "loop": type(loop).__module__.partition(".")[0],
        "tasks": sorted(_name(task) for task in asyncio.all_tasks(loop)),
        "connections": sum(_is(kind, "HttpToolsProtocol") for kind in kinds),
        "responses": sum(_is(kind, "RequestResponseCycle") for kind in kinds),
        "repeats": COUNTED[ANSWERED],
        "held": COUNTED[HELD],
    }
    print(f"{TELLS}{json.dumps(told)}", flush=True)


def _name(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return getattr(coroutine, "__qualname__", repr(coroutine))


def _is(kind: tuple[type, ...], name: str) -> bool:
    return any(one.__name__ == name for one in kind)


if __name__ == "__main__":
    uvicorn.config.LOOP_FACTORIES["uvloop"] = "tests.support.watched_service:watched_loop"
    count_repeats()
    main(["serve"])
