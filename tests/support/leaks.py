"""A test that leaves a file descriptor, a process or an asyncio task behind fails. tests/conftest.py turns this on.

What a wider fixture (session, module) holds is not the test's: such fixtures are set up before the first look.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Process, children, look_up, wait_until

GRACE_SECONDS = 2.0  # a killed process needs a moment to be gone, a socket closed by a thread as well
# Children that some test has begun with: those of wider fixtures, of which one look may miss one.
_known: set[tuple[int, int]] = set()
_TURNS = 10  # of the event loop: what has been cancelled gets the chance to end


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """Compare this process' descriptors and children before and after the test."""
    descriptors = open_descriptors()
    _known.update((child.pid, child.started) for child in children(os.getpid()))
    family = set(_known)
    yield
    # A child's end may free a descriptor (its pidfd, its pipe), so children come first.
    if left := new_children(family):
        _wait(lambda: not new_children(family))
        if left := new_children(family):
            pytest.fail(
                f"processes left running: {', '.join(f'{child.name} ({child.pid})' for child in left)}"
            )
    if open_descriptors() - descriptors:
        gc.collect()  # what only the collector closes is reported by Python itself (ResourceWarning is an error here)
        _wait(lambda: not open_descriptors() - descriptors)
        if leaked := open_descriptors() - descriptors:
            pytest.fail(f"file descriptors left open: {', '.join(leaked.elements())}")


def open_descriptors() -> Counter[str]:
    """What this process holds open, by kind and name; pytest's capture files are left out, they come and go with it."""
    found: Counter[str] = Counter()
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            continue  # the one that listed the directory
        if not _is_capture_file(target):
            found[_kind(target)] += 1
    return found


def new_children(before: set[tuple[int, int]]) -> list[Process]:
    """Children that run and were not there before. Those that have ended meanwhile are taken off the process table:

    orphans that this process adopted (processes.adopt_orphans) have nobody else to do it.
    """
    fresh = [child for child in children(os.getpid()) if (child.pid, child.started) not in before]
    for child in fresh:
        if child.ended:
            os.waitpid(child.pid, os.WNOHANG)
    return [child for child in fresh if not child.ended and look_up(child.pid)]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Have every coroutine test look at its own event loop, at its end, before pytest-asyncio tidies up after it."""
    if not isinstance(item, pytest.Function):
        return (yield)
    if (hypothesis := getattr(item.obj, "hypothesis", None)) is not None:
        if inspect.iscoroutinefunction(hypothesis.inner_test):
            hypothesis.inner_test = _checking_tasks(hypothesis.inner_test)
    elif inspect.iscoroutinefunction(item.obj):
        item.obj = _checking_tasks(item.obj)
    return (yield)


def _checking_tasks(
    test: Callable[..., Coroutine[Any, Any, None]],
) -> Callable[..., Coroutine[Any, Any, None]]:
    @functools.wraps(test)
    async def checked(*args: Any, **kwargs: Any) -> None:
        before = asyncio.all_tasks()
        await test(*args, **kwargs)
        for _ in range(_TURNS):
            if not asyncio.all_tasks() - before:
                return
            await asyncio.sleep(0)
        if left := asyncio.all_tasks() - before:
            pytest.fail(f"tasks left running: {', '.join(sorted(map(repr, left)))}")

    return checked


def _wait(condition: Callable[[], bool]) -> None:
    try:
        wait_until(condition, GRACE_SECONDS, "nothing is left")
    except TimeoutError:
        return  # the caller looks again, and says what is left


def _is_capture_file(target: str) -> bool:
    return target.endswith(" (deleted)") and not target.startswith("/memfd:") and "/tmp" in target


def _kind(target: str) -> str:
    """Sockets and pipes carry a number of their own; a new one in the place of an old one is no leak."""
    return target.partition(":[")[0]
