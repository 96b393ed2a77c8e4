"""What every ffmpeg and ffprobe is locked into before it sees a byte of a stranger's file.

Two small programs of util-linux go in front: `setpriv` (dies with its parent, gains no privileges) and `prlimit` (CPU,
address space, files). They run in the child, so nothing has to run between fork and exec in a threaded parent. Which files
it may open, and that it has no network, is for the walls (`ffmpeg.walls`). What a kernel limit cannot bound (time on the
wall, stalls, bytes through pipes) is watched by `ffmpeg.process`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

# Text formats (HLS, DASH, ffconcat, SDP) name other files and URLs, and ffmpeg follows them whatever the file is called;
# a protocol whitelist does not stop that, because `file` must be on it. Only these containers are ever opened.
FORMATS = "mov,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf"
PROTOCOLS = "file,pipe,fd"

MIB = 1 << 20

# The kernel's CPU limit comes early on a busy machine (measured: after 1.90 to 1.95 s of 2 s as wait4 counts them, under
# 0.9 s of 1 s), and its SIGKILL does not say why. So it only backs up the watchdog, which knows what it does.
KERNEL_CPU_SHARE = 2


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one run of ffmpeg or ffprobe may take before it is ended. Each number is far above what is honest."""

    cpu_seconds: float = 6 * 3600.0  # of all threads together
    wall_seconds: float = 6 * 3600.0
    stall_seconds: float = 60.0  # without any output or progress, while nobody holds it up
    memory_bytes: int = (
        6 << 30
    )  # address space, of which threads and libraries claim far more than they touch
    output_bytes: int = 64 << 30  # through all pipes together
    max_pixels: int = 8192 * 4320  # of one picture
    max_streams: int = 64  # tracks in the source
    nice: int = (
        0  # by so much it stands back behind the service itself when processors are scarce (nice(2)): 0 to 19
    )

    def within(self, service: Limits) -> Limits:
        """These limits, and of what a source may be those of the service: what it accepts, it also makes something of."""
        return msgspec.structs.replace(self, max_pixels=service.max_pixels, max_streams=service.max_streams)


PROBE_LIMITS = Limits(
    # The whole corpus stays under 0.4 s each on a busy machine: a hundred times that is not honest.
    cpu_seconds=30,
    wall_seconds=60,
    stall_seconds=30,
    memory_bytes=1 << 30,  # 8K takes under half of it
    output_bytes=16 * MIB,
)


def fenced(argv: Sequence[str], limits: Limits, inner: Sequence[str] = ()) -> list[str]:
    """`argv` behind the programs of the fence; `inner`: another one (bubblewrap), before the limits are set.

    Files it may write: none at all (RLIMIT_FSIZE 0; pipes are not files to that limit), so what it makes can only come
    out of pipes that somebody reads and counts. A soft CPU limit equal to the hard one kills at once: ffmpeg catches
    SIGXCPU and would go on finishing its output. It lies above the limit that `process` watches, and holds if we hang.
    """
    return [
        *("setpriv", "--pdeathsig", "KILL", "--no-new-privs", "--"),
        *inner,
        "prlimit",
        f"--cpu={math.ceil(limits.cpu_seconds * KERNEL_CPU_SHARE)}",
        f"--as={limits.memory_bytes}",
        "--fsize=0",
        "--nofile=64",
        "--core=0",
        "--",
        *argv,
    ]


def environment() -> dict[str, str]:
    """The child's whole environment: where programs are, and no secret of ours."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C",
        "HOME": "/nonexistent",
        "AV_LOG_FORCE_NOCOLOR": "1",
    }


def input_options(limits: Limits, formats: str = FORMATS) -> dict[str, str]:
    """Options that belong before every `-i` of ffmpeg and ffprobe, without their dashes. `formats`: the demuxers that may open it."""
    return {
        "format_whitelist": formats,
        "protocol_whitelist": PROTOCOLS,
        "max_pixels": str(limits.max_pixels),
        "max_streams": str(limits.max_streams),
    }


def source_url(source_fd: int) -> str:
    """How a child opens the descriptor it inherits.

    Through /proc and not as `pipe:N`: it can seek there, which files with their index at the end need, and each child
    has a file position of its own.
    """
    return f"/proc/self/fd/{source_fd}"


def cpu_seconds(pid: int) -> float:
    """Processor time that the process `pid` and what it started have used (proc(5), stat: utime and stime, cutime and cstime).

    bubblewrap starts the converter as a child's child. Raises FileNotFoundError when there is no such process.
    """
    stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    fields = stat.rpartition(")")[2].split()  # the name before may hold blanks and brackets
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(_child_seconds(child) for child in _children(pid))


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []  # it has just ended, or the kernel was built without CONFIG_PROC_CHILDREN


def _child_seconds(pid: int) -> float:
    try:
        return cpu_seconds(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
