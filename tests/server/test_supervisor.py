"""Processes that are started, started anew and ended: with workers that do nothing else."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from media_service.server.supervisor import Supervisor
from tests.support.processes import children, still_running, wait_until
from tests.support.server import CHECKOUT
from tests.support.supervised import LISTENS, SHORT_SECONDS

SOON_SECONDS = 20.0


class Family:
    """A supervisor and its workers."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.process = process
        self.directory = directory

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def pids(self, role: str) -> list[int]:
        """Of the workers that run."""
        running = {child.pid for child in children(self.process.pid) if not child.ended}
        names = [path.name.partition("-") for path in self.directory.glob(f"{role}-*")]
        return [int(pid) for _, _, pid in names if int(pid) in running]

    def heard(self, role: str, pid: int) -> list[str]:
        return (self.directory / f"{role}-{pid}").read_text().splitlines()

    def serves(self) -> None:
        """Wait until all do for the first time."""
        wait_until(lambda: LISTENS in self.log or self.process.poll() is not None, SOON_SECONDS, "all serve")

    def new(self, role: str, known: list[int]) -> int:
        """Wait for one more."""
        wait_until(lambda: bool(set(self.pids(role)) - set(known)), SOON_SECONDS, "a new one begins")
        (pid,) = set(self.pids(role)) - set(known)
        return pid


@contextmanager
def family(directory: Path, workers: int) -> Iterator[Family]:
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.supervised", str(directory), str(workers)],
            cwd=CHECKOUT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    known = Family(process, directory)
    try:
        yield known
    finally:
        for child in children(process.pid):
            os.kill(child.pid, signal.SIGKILL)
        process.kill()
        process.wait()


def test_the_senders_wait_for_the_main_process_and_then_all_serve(tmp_path: Path) -> None:
    with family(tmp_path, 3) as one:
        one.serves()
        (main,) = one.pids("main")
        assert one.heard("main", main) == ["environment to a main", "way SOCK_SEQPACKET", "begins"]
        senders = one.pids("sender")
        assert len(senders) == 2
        for pid in senders:
            assert one.heard("sender", pid) == [
                "environment to a sender",
                "way SOCK_SEQPACKET",
                "begins",
                "word m",
            ]


def test_who_dies_is_replaced_and_the_senders_hear_of_a_main_process_that_went_and_came(
    tmp_path: Path,
) -> None:
    with family(tmp_path, 2) as one:
        one.serves()
        (sender,), (main,) = one.pids("sender"), one.pids("main")
        os.kill(main, signal.SIGKILL)
        new = one.new("main", [main])
        words = ["word m", "word n", "word m"]
        wait_until(lambda: one.heard("sender", sender)[-3:] == words, SOON_SECONDS, "there is one again")
        os.kill(sender, signal.SIGKILL)
        other = one.new("sender", [sender])
        wait_until(lambda: one.heard("sender", other)[-1:] == ["word m"], SOON_SECONDS, "it is told the way")
        assert one.pids("main") == [new]
        assert f"the main process ended with status -{signal.SIGKILL}; a new one starts in 0.1 s" in one.log
        assert f"the sender 1 ended with status -{signal.SIGKILL}; a new one starts in 0.1 s" in one.log


def test_who_dies_again_and_again_is_started_less_and_less_often(tmp_path: Path) -> None:
    with family(tmp_path, 2) as one:
        one.serves()
        (tmp_path / "fails").touch()
        (main,) = one.pids("main")
        os.kill(main, signal.SIGKILL)
        wait_until(lambda: "starts in 0.8 s" in one.log, SOON_SECONDS, "it has failed a few times")
        for pause in ("0.1", "0.2", "0.4"):
            assert f"starts in {pause} s" in one.log
        (tmp_path / "fails").unlink()
        one.new("main", [main])
        assert one.process.poll() is None


def test_one_that_cannot_even_be_started_is_tried_less_and_less_often(tmp_path: Path) -> None:
    (tmp_path / "short").touch()
    with family(tmp_path, 2) as one:
        one.serves()
        (main,) = one.pids("main")
        time.sleep(SHORT_SECONDS)  # it has lived for long when it dies
        (tmp_path / "none").touch()
        os.kill(main, signal.SIGKILL)
        wait_until(lambda: "starts in 0.8 s" in one.log, SOON_SECONDS, "it has been tried a few times")
        assert "the main process cannot be started: No such file or directory" in one.log
        (tmp_path / "none").unlink()
        one.new("main", [main])
        assert one.process.poll() is None


def test_without_a_free_descriptor_one_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor(
        lambda *_: [sys.executable],
        workers=1,
        sockets=[],
        lock=-1,
        environment=lambda _: {},
        on_listening=lambda: None,
    )

    def none_left(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    main = supervisor._main
    supervisor._announced = True
    with monkeypatch.context() as patched:
        patched.setattr(socket, "socketpair", none_left)
        supervisor._start(main)
    assert (main.process, main.leash) == (None, None)
    assert main.due > main.started
    supervisor._stop()


def test_a_start_that_fails_ends_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "fails").touch()
    with family(tmp_path, 3) as one:
        assert one.process.wait(SOON_SECONDS) == 1
        assert LISTENS not in one.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    with family(tmp_path, 3) as one:
        one.serves()
        roles = [(role, pid) for role in ("main", "sender") for pid in one.pids(role)]
        one.process.send_signal(number)
        assert one.process.wait(SOON_SECONDS) == 0
        assert len(roles) == 3
        for role, pid in roles:
            assert one.heard(role, pid)[-1] == "SIGTERM"


def test_a_second_ctrl_c_reaches_those_who_do_not_end(tmp_path: Path) -> None:
    (tmp_path / "stays").touch()
    with family(tmp_path, 2) as one:
        one.serves()
        (main,), (sender,) = one.pids("main"), one.pids("sender")
        one.process.send_signal(signal.SIGINT)
        wait_until(
            lambda: all(one.heard(*who)[-1] == "SIGTERM" for who in (("main", main), ("sender", sender))),
            SOON_SECONDS,
            "both hear that all ends",
        )
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(SOON_SECONDS) == 0
        assert one.heard("main", main)[-1] == one.heard("sender", sender)[-1] == "SIGINT"


def test_one_that_is_to_be_started_again_is_not_once_all_ends(tmp_path: Path) -> None:
    with family(tmp_path, 2) as one:
        one.serves()
        (tmp_path / "fails").touch()
        (sender,) = one.pids("sender")
        os.kill(sender, signal.SIGKILL)
        wait_until(lambda: "starts in 0.4 s" in one.log, SOON_SECONDS, "it has failed a few times")
        known = children(one.process.pid)
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(SOON_SECONDS) == 0
        assert not any(map(still_running, known))
