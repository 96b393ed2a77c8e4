"""What a receiver's processes cost, told from /proc: with children that have ended, and memory that no RSS shows."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from bench.costs import PeakMemory, Way, cpu_seconds, measured, memory_bytes

MIB = 1 << 20

# Does what each line of its input says, and answers with a line when that is done.
OBEDIENT = """
import os, subprocess, sys
BURN = "import time\\nuntil = time.process_time() + 0.5\\nwhile time.process_time() < until: pass"
for line in sys.stdin:
    match line.split():
        case ["burn"]:
            exec(BURN)
        case ["burn", "in", "a", "child"]:
            subprocess.run([sys.executable, "-c", BURN], check=True)
        case ["hold"]:
            held = os.memfd_create("held")
            os.write(held, bytes(32 << 20))
        case ["fork", "while", "holding"]:
            mine = bytearray(os.urandom(32 << 20))
            if (child := os.fork()) == 0:
                exec(BURN)
                os._exit(0)
            os.waitpid(child, 0)
            del mine
        case ["let", "go"]:
            os.close(held)
    print("done", flush=True)
"""


class Obedient:
    """A process that does as it is told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def __call__(self, order: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


@pytest.fixture
def obedient() -> Iterator[Obedient]:
    argv = [sys.executable, "-c", OBEDIENT]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        told = Obedient(process)
        assert told("begin") == "done"
        yield told


@pytest.mark.parametrize("order", ["burn", "burn in a child"])
def test_cpu_time_is_that_of_a_process_and_of_its_children_that_have_ended(
    obedient: Obedient, order: str
) -> None:
    before = cpu_seconds(obedient.pid)
    obedient(order)
    assert 0.45 < cpu_seconds(obedient.pid) - before < 1


def test_the_peak_is_what_was_held_at_a_time_in_memfds_too(obedient: Obedient) -> None:
    before = memory_bytes(obedient.pid)
    with PeakMemory(obedient.pid) as memory:
        obedient("hold")
        obedient("burn")
        obedient("let go")
    assert 32 * MIB <= memory.bytes - before < 40 * MIB
    assert memory_bytes(obedient.pid) - before < 8 * MIB


def test_what_a_process_shares_with_a_fork_of_it_counts_once(obedient: Obedient) -> None:
    before = memory_bytes(obedient.pid)
    with PeakMemory(obedient.pid) as memory:
        obedient("fork while holding")
    assert 32 * MIB <= memory.bytes - before < 64 * MIB


def test_what_is_done_by_hand_counts_as_the_receivers_and_what_was_made_is_removed(
    obedient: Obedient,
) -> None:
    removed: list[str] = []

    def burn(_: str) -> None:
        until = time.thread_time() + 0.3
        while time.thread_time() < until:
            pass

    way = Way("a way", (obedient.pid,), lambda: obedient("burn"), removed.append)
    bare = measured(way)
    whole = measured(Way("the same and more", way.roots, way.upload, removed.append, after=burn))
    assert 0.45 < bare.cpu_seconds < 0.75
    assert 0.25 < whole.cpu_seconds - bare.cpu_seconds < 0.6
    assert whole.seconds >= 0.8
    assert removed == ["done", "done"]


def test_processes_that_have_ended_cost_nothing() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert cpu_seconds(process.pid) == 0
    assert memory_bytes(process.pid) == 0
    assert memory_bytes(os.getpid()) > 0
