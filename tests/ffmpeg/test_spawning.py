"""A child's life: started by a thread that stays, behind walls that hold, and gone with either of them."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
from pathlib import Path

import msgspec
import pytest

from media_service.ffmpeg import landlock, seccomp, spawning, walls
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.spawning import Child, built, spawn
from media_service.ffmpeg.walls import Walls
from tests.support.fenced import inside
from tests.support.processes import descendants, look_up, still_running, wait_until

LIMITS = Limits(cpu_seconds=12.2, memory_bytes=512 << 20)


def fences() -> set[threading.Thread]:
    """Those of the tests before may be about to end."""
    return {thread for thread in threading.enumerate() if thread.name == "fence"}


def asleep() -> Child:
    """A child that has come to its own program: setpriv and prlimit have been through their work.

    Not in a bubble, where the program is a child's child.
    """
    bare = Walls(files="none", filter=seccomp.machine() or "")
    child = spawn(["sleep", "60"], LIMITS, walls=bare if built().files == "bubblewrap" else built())
    wait_until(lambda: (now := look_up(child.popen.pid)) is not None and now.name == "sleep", 10, "it sleeps")
    return child


def told(child: Child, name: str) -> str:
    return Path(f"/proc/{child.popen.pid}/{name}").read_text()


def test_the_kernel_limits_hold() -> None:
    child = asleep()
    table = {line[:26].strip(): line[26:].split()[:2] for line in told(child, "limits").splitlines()}
    child.kill()
    child.reap()
    assert table["Max cpu time"] == ["25", "25"]
    assert table["Max address space"] == [str(512 << 20)] * 2
    assert table["Max file size"] == table["Max core file size"] == ["0", "0"]
    assert table["Max open files"] == ["64", "64"]


def test_the_kernel_says_that_it_is_shut_in() -> None:
    child = asleep()
    status, environment = told(child, "status"), told(child, "environ")
    child.kill()
    child.reap()
    assert "NoNewPrivs:\t1" in status
    if seccomp.machine() is not None:
        assert "Seccomp:\t2" in status
    assert {variable.partition("=")[0] for variable in environment.split("\0") if variable} == {
        "PATH",
        "LANG",
        "HOME",
        "AV_LOG_FORCE_NOCOLOR",
    }


def test_we_are_not_shut_in_ourselves(tmp_path: Path) -> None:
    before = confinement()
    inside("true")
    assert confinement() == before
    (tmp_path / "ours").write_text("still")


def confinement() -> list[str]:
    """What /proc says of this thread."""
    status = Path("/proc/thread-self/status").read_text()
    return [line for line in status.splitlines() if line.startswith(("NoNewPrivs", "Seccomp"))]


def test_the_thread_that_started_it_stays_until_it_is_reaped() -> None:
    before = fences()
    child = asleep()
    assert len(fences() - before) == 1
    child.kill()
    assert child.reap() == -signal.SIGKILL
    child.gone()
    wait_until(lambda: fences() <= before, 10, "the thread ends")


def test_it_dies_with_the_thread_that_started_it() -> None:
    child = asleep()
    child.gone()  # too early: the kernel takes the thread for its parent
    assert child.popen.wait(10) == -signal.SIGKILL


def test_one_that_does_not_end_in_time_is_killed() -> None:
    assert spawn(["sleep", "60"], LIMITS).reap(0.2) == -signal.SIGKILL


def test_a_start_that_fails_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fences()
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(FileNotFoundError):
        spawn(["true"], LIMITS, walls=Walls(files="none"))
    wait_until(lambda: fences() <= before, 10, "the thread ends")


def test_many_at_the_same_time_have_a_fence_each(tmp_path: Path) -> None:
    """Rules are a thread's own: what one may read, another may not."""
    paths = [tmp_path / str(number) for number in range(8)]
    for path in paths:
        path.write_text(path.name)
    found: dict[str, bytes] = {}

    def read(path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found[path.name] = inside("cat", f"/proc/self/fd/{fd}", source_fds=(fd,)).said
        finally:
            os.close(fd)

    threads = [threading.Thread(target=read, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {path.name: path.name.encode() for path in paths}


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_walls_that_ffmpeg_does_not_start_behind_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walls, "readable", lambda: ("/usr/bin",))  # not its libraries
    found = built.__wrapped__()
    assert found.files == "none"
    assert found.gaps


def test_without_ffmpeg_the_strongest_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    strongest = walls.candidates()[0]
    monkeypatch.setattr(spawning, "_works", lambda _: False)
    assert built.__wrapped__() == strongest


@pytest.mark.parametrize(
    ("chosen", "warnings"),
    [(Walls(files="landlock", version=7, filter="x86_64"), 0), (Walls(files="none", filter="x86_64"), 1)],
)
def test_gaps_are_said_loudly(
    chosen: Walls, warnings: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(spawning, "built", lambda: chosen)
    assert spawning.announced() == chosen
    assert f"converters run behind {chosen.name}" in caplog.text
    assert [record.levelname for record in caplog.records].count("WARNING") == warnings


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_a_bubble_tells_which_signal_ended_what_was_in_it() -> None:
    bubble = Walls(files="bubblewrap")
    assert inside("sh", "-c", "kill -9 $$", walls=bubble).status == -signal.SIGKILL
    assert inside("sh", "-c", "exit 3", walls=bubble).status == 3


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_a_bubble_is_gone_with_the_group_of_its_child() -> None:
    child = spawn(["sleep", "60"], LIMITS, walls=Walls(files="bubblewrap"))
    wait_until(
        lambda: any(one.name == "sleep" for one in descendants(child.popen.pid)), 10, "it sleeps inside"
    )
    family = descendants(child.popen.pid)
    child.kill()
    assert child.reap() == -signal.SIGKILL
    wait_until(lambda: not any(still_running(one) for one in family), 10, "all of them are gone")


def test_without_a_thread_it_fails_as_fork_would(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    built()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(BlockingIOError):
        spawn(["true"], LIMITS)


def test_a_child_stands_back_as_far_as_its_limits_say_and_the_service_does_not() -> None:
    ours = os.nice(0)
    child = spawn(["sleep", "60"], msgspec.structs.replace(LIMITS, nice=5))
    try:
        assert os.getpriority(os.PRIO_PROCESS, child.popen.pid) == min(19, ours + 5)
        assert os.nice(0) == ours
    finally:
        child.kill()
        child.reap()
