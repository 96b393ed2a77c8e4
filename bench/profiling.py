"""Where the time of a range goes: one service under cProfile, 64 KiB ranges, and its calls and seconds by who spends them.

`python -m bench.profiling [CHECKOUT]`: of this checkout or another one, such as an earlier commit's. Under the profiler all
Python takes about twice as long, and the kernel does not: shares are compared between two profiles, not with a clock. CPU
seconds per range are measured in a second run without it.
"""

from __future__ import annotations

import os
import pstats
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from bench.contenders import OURS, Contender, delivered_film, is_whole
from bench.figures import table
from bench.load import Result
from bench.pace import Pace
from bench.service import await_state, upload
from tests.support import server as service
from tests.support.processes import wait_until
from tests.support.server import running_server

RANGE_BYTES, CONNECTIONS, SECONDS = 64 << 10, 32, 3.0
# Who is told by a part of the file's name; the first that fits.
PARTS = (
    ("server (the connection)", "media_service/server/"),
    ("web (handler, short way, sending)", "media_service/web/"),
    ("wire (ranges, conditions, headers)", "media_service/wire/"),
    ("playback, store (opening)", "media_service/"),
    ("uvicorn", "/uvicorn/"),
    ("Litestar", "/litestar/"),
    ("SQLAlchemy", "/sqlalchemy/"),
    ("asyncio, the rest of Python", "/"),
)
KERNEL = "sendfile, send, pread: the kernel"
SYSTEM_CALLS = ("sendfile", "'send' of", "preadv", "posix.pread", "os.pread")
BUILT_IN = "built in (dict, bytes, str, httptools ...)"


def measure(work: Path, pace: Pace) -> Iterator[str]:
    """One table."""
    yield profiled(work, pace)


def profiled(work: Path, pace: Pace) -> str:
    """The table of the service in `tests.support.server.CHECKOUT`."""
    seconds = pace.seconds if pace.quick else SECONDS
    film = delivered_film(work, 64 << 20)
    with tempfile.TemporaryDirectory(dir=work) as name:
        directory, dump = Path(name), Path(name) / "profile"
        with running_server(directory, transcode_workers=0) as server:
            asset_id, _ = upload(server, film)
            await_state(server, asset_id, "playable", "ready")
            wait_until(lambda: is_whole(server, asset_id), 300, "nothing is left to do for the film")
            plain = _load(server, asset_id, film, seconds)
        inside = {"PYTHONPATH": str(Path(__file__).with_name("inside"))}
        with (
            patch.dict(os.environ, inside),
            running_server(directory, module=("profiled", str(dump)), transcode_workers=0) as server,
        ):
            warm = _load(server, asset_id, film, seconds)
            os.kill(server.pid, signal.SIGUSR1)
            _load(server, asset_id, film, seconds)
            os.kill(server.pid, signal.SIGUSR1)
            wait_until(dump.exists, 30, "the profile is written")
        assert warm.answers
        return _table(pstats.Stats(str(dump)), plain)


def _load(server: service.Server, asset_id: str, film: Path, seconds: float) -> Result:
    path = f"/media/{asset_id}/original.mp4"
    one = Contender(OURS, server.port, path, film.stat().st_size, (server.pid,))
    return one.load("ranges", RANGE_BYTES, CONNECTIONS, seconds)


def _table(profile: pstats.Stats, plain: Result) -> str:
    calls, seconds = Counter[str](), Counter[str]()
    requests = 0
    for (file, _, function), (_, count, own, _, _) in profile.stats.items():  # type: ignore[attr-defined] # it has them
        if function in {
            "on_headers_complete",
            "begin_file",
        }:  # of one that is parsed, and of one that need not be
            requests = max(requests, count)
        who = _who(file, function)
        calls[who] += count
        seconds[who] += own
    spent = sum(seconds.values())
    rows = [
        (who, f"{calls[who] / requests:.0f}", f"{share / requests * 1e6:.0f} us", f"{share / spent:.0%}")
        for who, share in seconds.most_common()
        if calls[who] >= requests / 2  # not what else happened meanwhile
    ]
    rows.append(("all", f"{calls.total() / requests:.0f}", f"{spent / requests * 1e6:.0f} us", ""))
    without = f"{plain.cpu / plain.answers * 1e6:.0f} us of CPU without the profiler"
    return table(
        f"A range of 64 KiB: {without}", ("", "calls", "time under the profiler", "of it"), rows, "profile"
    )


def _who(file: str, function: str) -> str:
    if file == "~":
        return KERNEL if any(call in function for call in SYSTEM_CALLS) else BUILT_IN
    return next(name for name, part in PARTS if part in file or part == "/")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="media-service-bench-") as found:
        service.CHECKOUT = Path(sys.argv[1] if sys.argv[1:] else ".").resolve()
        print(profiled(Path(found), Pace()))
