"""Seeks in a browser: `bytes=N-`, a little of it is read, and the connection is closed. How many in a second, and what is lost.

Lost is what came to the viewer's machine and was never read; what a server has read from its disk and not sent shows in its
CPU time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from bench.contenders import NGINX, OURS, Contender
from bench.figures import Goal, goals, table
from bench.pace import Pace, in_turns

READ_BYTES = 256 << 10
VIEWERS = 8


def tables(title: str, contenders: Sequence[Contender], pace: Pace) -> Iterator[str]:
    """One table, and the goals where the service is asked directly."""
    found = in_turns(contenders, pace, lambda one: one.load("abandoned", READ_BYTES, VIEWERS, pace.seconds))
    rates = {name: median(result.rate for result in results) for name, results in found.items()}
    lost = {
        name: median(result.unread / max(1, result.answers) for result in results)
        for name, results in found.items()
    }
    rows = [
        (
            name,
            f"{rates[name]:,.0f}",
            "" if name == NGINX else f"{rates[name] / rates[NGINX]:.2f}",
            f"{lost[name] / 1e6:.2f} MB",
            f"{median(result.cpu / max(1, result.answers) for result in results) * 1e3:.2f} ms",
        )
        for name, results in found.items()
    ]
    slug = title.replace(" ", "-")
    header = ("", "seeks/s", "of nginx", "sent, and read by nobody", "CPU of the server")
    yield table(f"Seeks that are abandoned, {title}", header, rows, f"abandoned-{slug}")
    if OURS in found:
        wanted = [
            Goal("abandoned seeks/s of nginx", 0.5, rates[OURS] / rates[NGINX]),
            Goal(
                "bytes lost per abandoned seek, of nginx",
                1.0,
                lost[OURS] / max(1.0, lost[NGINX]),
                at_least=False,
            ),
        ]
        yield goals("Goals: abandoned seeks", wanted)
