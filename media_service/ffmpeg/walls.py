"""What the fence is made of on this machine: Landlock, else bubblewrap, else limits alone; and a seccomp filter.

Landlock and seccomp belong to a thread and go on to what it starts, so they cost a few system calls and no program of
their own (`ffmpeg.spawning`). bubblewrap, for kernels without Landlock, is one more program in front of each ffmpeg.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from media_service.ffmpeg import landlock, seccomp
from media_service.ffmpeg.fence import Limits, environment, fenced

PROGRAMS = ("ffmpeg", "ffprobe", "setpriv", "prlimit")
# Where distributions keep programs and libraries, and nothing that is a secret; what links there is found by where it leads.
# What else ffmpeg looks for (CPU and memory nodes, time zones, its own status) it can do without.
_LIBRARIES = (
    *("/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/local/bin", "/usr/local/lib"),
    *("/bin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache"),
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


class Walls(msgspec.Struct, frozen=True, kw_only=True):
    """One way to build the fence."""

    files: Literal["landlock", "bubblewrap", "none"]
    version: int = 0  # of Landlock
    filter: str = ""  # the architecture that the seccomp filter is made for; empty: none

    @property
    def name(self) -> str:
        """For a person: "Landlock 7 and seccomp"."""
        files = {"landlock": f"Landlock {self.version}", "bubblewrap": "bubblewrap", "none": ""}[self.files]
        return (
            " and ".join(part for part in (files, "seccomp" if self.filter else "") if part) or "limits alone"
        )

    @property
    def gaps(self) -> tuple[str, ...]:
        """What a converter that a file has taken over could do here and should not, as sentences."""
        bubble = self.files == "bubblewrap"
        found = []
        if self.files == "none":
            found.append("It could read every file that the service may read.")
        if not self.filter:
            if not bubble:
                found.append("It could reach the network.")
            if not bubble and self.version < 6:
                found.append("It could end the service.")
            if not bubble and self.version < 3:
                found.append("It could cut files of the service off, or change who may use them.")
        return tuple(found)

    def restrict(self, source_fds: Sequence[int]) -> None:
        """Put the calling thread behind the walls that are threads' own. It may read `source_fds` and nothing else."""
        if self.files == "landlock":
            landlock.restrict(self.version, readable(), source_fds)
        if self.filter and self.files != "bubblewrap":
            seccomp.install(self.filter, _program(self.filter))

    def argv(self, argv: Sequence[str], limits: Limits, filter_fd: int | None) -> list[str]:
        """`argv` behind the programs that are walls. `filter_fd`: where bubblewrap reads the seccomp filter from."""
        return fenced(argv, limits, _bubble(filter_fd) if self.files == "bubblewrap" else ())

    def open_filter(self) -> int | None:
        """A descriptor for `argv`, to be inherited and closed; None where none is needed."""
        if self.files != "bubblewrap" or not self.filter:
            return None
        found = os.memfd_create("filter", os.MFD_CLOEXEC)
        os.write(found, _program(self.filter))
        os.lseek(found, 0, os.SEEK_SET)
        return found


def candidates() -> list[Walls]:
    """What this machine might do, the strongest first."""
    machine = seccomp.machine() or ""
    version = landlock.version()
    found = [Walls(files="landlock", version=version, filter=machine)] if version else []
    if shutil.which("bwrap", path=environment()["PATH"]):
        found.append(Walls(files="bubblewrap", filter=machine))
    if version and machine:  # a profile around us may refuse filters, and nothing else
        found.append(Walls(files="landlock", version=version))
    found.append(Walls(files="none", filter=machine))
    if machine:
        found.append(Walls(files="none"))
    return found


@cache
def readable() -> tuple[str, ...]:
    """Files and directories that hold what ffmpeg is made of, without links and without what lies in another of them."""
    path = environment()["PATH"]
    programs = [Path(found).resolve() for name in PROGRAMS if (found := shutil.which(name, path=path))]
    # An ffmpeg of one's own, /opt/ffmpeg/bin, brings its libraries along in /opt/ffmpeg/lib. One that lies elsewhere may
    # have anything beside it: the data directory, somebody's home.
    homes = [one.parent for one in programs if one.parent.name in {"bin", "sbin"}]
    beside = [*programs, *homes, *(home.parent / "lib" for home in homes)]
    places = {place.resolve() for place in (*map(Path, (*_LIBRARIES, *_DEVICES)), *beside)}
    return tuple(str(place) for place in sorted(places) if place.exists() and not places & set(place.parents))


@cache
def _program(machine: str) -> bytes:
    return seccomp.program(machine)


def _bubble(filter_fd: int | None) -> list[str]:
    """bubblewrap with nothing inside but what is readable; without network; gone with its parent (bwrap(1))."""
    argv = [
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--cap-drop",
        "ALL",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
    ]
    for place in readable():
        if place not in _DEVICES:
            argv += ["--ro-bind", place, place]
    for link in map(Path, _LIBRARIES):
        if link.is_symlink():  # /lib -> usr/lib: the loader's own path goes through it
            argv += ["--symlink", str(link.readlink()), str(link)]
    argv += ["--ro-bind-try", "/etc/alternatives", "/etc/alternatives"]  # links; Debian's BLAS is one of them
    if filter_fd is not None:
        argv += ["--seccomp", str(filter_fd)]
    return [*argv, "--"]
