"""`python -m profiled FILE` is `python -m media_service serve` whose profile begins at SIGUSR1 and is in FILE after the next."""

from __future__ import annotations

import asyncio
import cProfile
import os
import signal
import sys
from collections.abc import Callable

import uvicorn.config
import uvloop

from media_service.__main__ import main


def loop(use_subprocess: bool = False) -> Callable[[], asyncio.AbstractEventLoop]:  # noqa: FBT001, FBT002 # uvicorn's
    """What uvicorn calls for the loop to run on."""

    def made() -> asyncio.AbstractEventLoop:
        running, profile = uvloop.new_event_loop(), cProfile.Profile()
        turns = iter((profile.enable, lambda: written(profile)))
        running.add_signal_handler(signal.SIGUSR1, lambda: next(turns)())  # noqa: PLW0108 # a turn each time
        return running

    return made


def written(profile: cProfile.Profile) -> None:
    """Into a file that is whole when it is there."""
    profile.disable()
    profile.dump_stats(f"{sys.argv[1]}.part")
    os.replace(f"{sys.argv[1]}.part", sys.argv[1])  # noqa: PTH105 # both are text


if __name__ == "__main__":
    uvicorn.config.LOOP_FACTORIES["uvloop"] = "profiled:loop"
    main(["serve"])
