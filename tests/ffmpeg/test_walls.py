"""The walls are looked at from inside, each kind that this machine has, and older Landlocks by leaving out what they lack."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from media_service.ffmpeg import landlock, seccomp, walls
from media_service.ffmpeg.fence import source_url
from media_service.ffmpeg.walls import Walls, candidates, readable
from tests.ffmpeg.running import opened
from tests.support.fenced import inside, python_inside, refusals

SECRET = b"another tenant's film"
REFUSED = {"EACCES", "EPERM"}
MACHINE = seccomp.machine() or ""


def kinds() -> Iterator[Walls]:
    """Whole fences: what is promised without a gap, or with Landlock as young as it may be."""
    for version in range(1, landlock.version() + 1):
        yield Walls(files="landlock", version=version, filter=MACHINE)
    if shutil.which("bwrap"):
        yield Walls(files="bubblewrap", filter=MACHINE)


whole = pytest.mark.parametrize("fence", list(kinds()), ids=lambda fence: fence.name.replace(" ", "-"))
newest = Walls(files="landlock", version=landlock.version(), filter=MACHINE)
needs_landlock = pytest.mark.skipif(not newest.version, reason="this kernel has no Landlock")
needs_filter = pytest.mark.skipif(not MACHINE, reason="no seccomp filter for this machine")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "blobs" / "victim"
    path.parent.mkdir()
    path.write_bytes(SECRET)
    return path


# --- files ----------------------------------------------------------------------------------------------------


@whole
def test_no_file_but_its_own_film_can_be_read(fence: Walls, victim: Path) -> None:
    found = refusals(
        """
        def attempts():
            for path in sys.argv[1:]:
                yield path, os.open, path, os.O_RDONLY
            yield "list", os.listdir, os.path.dirname(sys.argv[1])
            yield "root", os.listdir, "/home"
        """,
        *(victim, "/etc/passwd", "/etc/shadow", f"/proc/{os.getpid()}/environ", f"/proc/{os.getpid()}/mem"),
        walls=fence,
    )
    assert set(found.values()) <= {*REFUSED, "ENOENT"}, found
    assert len(found) == 7


@whole
def test_neither_cat_nor_ffmpeg_reads_a_victim(fence: Walls, victim: Path) -> None:
    assert SECRET not in inside("cat", str(victim), walls=fence).said
    argv = ["ffmpeg", "-v", "error", "-f", "data", "-i", str(victim), "-map", "0", "-c", "copy", "-f", "data"]
    ended = inside(*argv, "pipe:1", walls=fence)
    assert ended.status != 0
    assert SECRET not in ended.said
    without = inside(*argv, "pipe:1", walls=Walls(files="none"))
    assert without.said == SECRET, "ffmpeg would have read it"


@whole
def test_its_own_film_is_read_and_sought_in_from_disk_and_memory(fence: Walls, victim: Path) -> None:
    film = victim.with_name("film")
    film.write_bytes(bytes(range(256)) * 4096)
    script = """
        import sys
        for url in sys.argv[1:]:
            with open(url, "rb") as film:
                film.seek(-200, 2)
                print(film.read()[0], end=" ")
                film.seek(77)
                print(film.read(1)[0], end=" ")
    """
    memory = os.memfd_create("film", os.MFD_CLOEXEC)
    try:
        os.write(memory, film.read_bytes())
        with opened(film) as disk:
            urls = (source_url(disk), source_url(memory))
            assert python_inside(script, *urls, walls=fence, source_fds=(disk, memory)) == "56 77 56 77"
    finally:
        os.close(memory)


@whole
def test_its_own_film_is_read_when_it_is_deleted_meanwhile(fence: Walls, victim: Path) -> None:
    with opened(victim) as fd:
        victim.unlink()
        assert inside("cat", source_url(fd), walls=fence, source_fds=(fd,)).said == SECRET


@whole
def test_a_film_beside_its_own_cannot_be_read(fence: Walls, victim: Path) -> None:
    film = victim.with_name("film")
    film.write_bytes(b"its own")
    with opened(film) as fd, opened(victim) as ours:
        assert inside("cat", source_url(fd), walls=fence, source_fds=(fd,)).said == b"its own"
        beside = inside("cat", f"/proc/{os.getpid()}/fd/{ours}", str(victim), walls=fence, source_fds=(fd,))
    assert beside.status != 0
    assert SECRET not in beside.said


@whole
def test_nothing_can_be_written_or_changed(fence: Walls, victim: Path) -> None:
    before = victim.stat()
    found = refusals(
        """
        def attempts():
            victim, new, fd = sys.argv[1], sys.argv[1] + ".new", sys.argv[2]
            yield "write", os.open, victim, os.O_WRONLY
            yield "append", os.open, victim, os.O_RDWR | os.O_APPEND
            yield "create", os.open, new, os.O_WRONLY | os.O_CREAT
            yield "tmp", os.open, "/tmp/from-inside", os.O_WRONLY | os.O_CREAT
            yield "unnamed", os.open, "/tmp", os.O_WRONLY | os.O_TMPFILE
            yield "mkdir", os.mkdir, new
            yield "mkfifo", os.mkfifo, new
            yield "symlink", os.symlink, victim, new
            yield "link", os.link, victim, new
            yield "rename", os.rename, victim, new
            yield "unlink", os.unlink, victim
            yield "rmdir", os.rmdir, os.path.dirname(victim)
            yield "truncate", os.truncate, victim, 0
            yield "chmod", os.chmod, victim, 0o777
            yield "chown", os.chown, victim, 1, 1
            yield "utime", os.utime, victim
            yield "setxattr", os.setxattr, victim, "user.x", b"x"
        """,
        *(victim, 0),
        walls=fence,
    )
    # bubblewrap: what is below its own /tmp is nobody's, and gone with it
    done = {name for name, outcome in found.items() if outcome == "done"}
    assert done <= (set() if fence.files == "landlock" else {"tmp", "unnamed"}), found
    assert victim.read_bytes() == SECRET
    after = victim.stat()
    assert (after.st_mode, after.st_uid, after.st_mtime_ns) == (
        before.st_mode,
        before.st_uid,
        before.st_mtime_ns,
    )
    assert list(victim.parent.iterdir()) == [victim]
    assert not Path("/tmp/from-inside").exists()


@needs_landlock
def test_its_own_film_cannot_be_opened_for_writing(victim: Path) -> None:
    with opened(victim) as fd:
        script = "import sys\ntry:\n  open(sys.argv[1], 'r+b')\nexcept PermissionError:\n  print('no')"
        assert python_inside(script, source_url(fd), walls=newest, source_fds=(fd,)) == "no"


# --- the network, and other processes ---------------------------------------------------------------------------

SOCKETS = """
def attempts():
    def tcp(call, port):
        with socket.socket() as end:
            getattr(end, call)(("127.0.0.1", port))
    yield "connect", tcp, "connect", int(sys.argv[1])
    yield "bind", tcp, "bind", 0
    yield "tcp6", socket.socket, socket.AF_INET6
    yield "udp", socket.socket, socket.AF_INET, socket.SOCK_DGRAM
    yield "unix", socket.socket, socket.AF_UNIX
    yield "netlink", socket.socket, socket.AF_NETLINK, socket.SOCK_RAW
    yield "raw", socket.socket, socket.AF_INET, socket.SOCK_RAW, 1
    yield "pair", socket.socketpair
"""


@whole
@needs_filter
def test_no_socket_of_any_kind_can_be_made(fence: Walls) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = refusals(SOCKETS, server.getsockname()[1], walls=fence)
    assert set(found.values()) == {"EPERM"}, found


@needs_landlock
@pytest.mark.skipif(newest.version < 4, reason="Landlock of this kernel does not know TCP")
def test_landlock_alone_keeps_tcp_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        fence = Walls(files="landlock", version=newest.version)
        found = refusals(SOCKETS, server.getsockname()[1], walls=fence)
    assert (found["connect"], found["bind"]) == ("EACCES", "EACCES")


@whole
@needs_filter
def test_other_processes_are_out_of_reach(fence: Walls) -> None:
    found = refusals(
        """
        import resource, signal
        def attempts():
            us = int(sys.argv[1])
            yield "kill", os.kill, us, 0
            yield "group", os.killpg, us, 0
            yield "queue", signal.pidfd_send_signal, 0, 0
            yield "pidfd", os.pidfd_open, us
            yield "limits", resource.prlimit, us, resource.RLIMIT_NOFILE, (64, 64)
            yield "nice", os.setpriority, os.PRIO_PROCESS, us, 19
            yield "cores", os.sched_setaffinity, us, {0}
            yield "chroot", os.chroot, "/usr"
        """,
        os.getpid(),
        walls=fence,
    )
    assert set(found.values()) <= {"EPERM", "ESRCH"}, found  # ESRCH: bubblewrap does not even show them


@whole
def test_no_secret_of_ours_is_in_its_environment(fence: Walls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIA_SERVICE_ADMIN_TOKEN", "hush")
    # PWD is bubblewrap's own doing, LC_CTYPE Python's
    names = set(python_inside("import os; print(*os.environ)", walls=fence).split()) - {"PWD", "LC_CTYPE"}
    assert names == {"PATH", "LANG", "HOME", "AV_LOG_FORCE_NOCOLOR"}


# --- which walls -------------------------------------------------------------------------------------------------


def test_the_strongest_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 2)
    monkeypatch.setattr(seccomp, "machine", lambda: "aarch64")
    monkeypatch.setattr(shutil, "which", lambda name, path: f"/usr/bin/{name}")
    assert candidates() == [
        Walls(files="landlock", version=2, filter="aarch64"),
        Walls(files="bubblewrap", filter="aarch64"),
        Walls(files="landlock", version=2),
        Walls(files="none", filter="aarch64"),
        Walls(files="none"),
    ]


def test_without_anything_limits_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    monkeypatch.setattr(seccomp, "machine", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda name, path: None)
    assert candidates() == [Walls(files="none")]


def test_gaps_are_told() -> None:
    assert Walls(files="landlock", version=1, filter="x86_64").gaps == ()
    assert Walls(files="bubblewrap", filter="x86_64").gaps == Walls(files="bubblewrap").gaps == ()
    assert [len(Walls(files="landlock", version=version).gaps) for version in (2, 3, 6)] == [3, 2, 1]
    assert Walls(files="none", filter="x86_64").gaps == (
        "It could read every file that the service may read.",
    )
    assert len(Walls(files="none").gaps) == 4


def test_names_are_for_people() -> None:
    assert Walls(files="landlock", version=7, filter="x86_64").name == "Landlock 7 and seccomp"
    assert Walls(files="bubblewrap").name == "bubblewrap"
    assert Walls(files="none").name == "limits alone"


def test_an_ffmpeg_of_ones_own_is_found_with_its_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "opt" / "bin" / "ffmpeg"
    for directory in (program.parent, tmp_path / "opt" / "lib"):
        directory.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    found = readable.__wrapped__()
    assert {str(program.parent), str(tmp_path / "opt" / "lib")} <= set(found)
    assert "/" not in found


def test_of_what_lies_beside_an_ffmpeg_anywhere_else_nothing_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = readable.__wrapped__()
    assert str(program) in found
    assert str(tmp_path) not in found


def test_what_may_be_read_holds_no_data() -> None:
    found = readable()
    assert "/usr" not in found
    assert not {"/", "/etc", "/home", "/tmp", "/proc", "/sys", "/dev", "/var", "/usr/share"} & set(found)


def test_a_wall_that_cannot_be_built_is_no_reason_to_go_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child is never started behind less than was asked for: the error goes to whoever wanted it."""
    monkeypatch.setattr(landlock, "_NEWEST_RIGHTS", 40)  # rights that no kernel knows
    with pytest.raises(OSError, match="Invalid argument"):
        inside("true", walls=Walls(files="landlock", version=7))
    assert walls.candidates()
