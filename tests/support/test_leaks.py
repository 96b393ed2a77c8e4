"""The guard against leaks, itself guarded: a run of pytest over tests that leak, and over some that do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

CONFTEST = """
from tests.support import leaks
from tests.support.leaks import leaves_nothing_behind, pytest_runtest_call
from tests.support.processes import adopt_orphans

leaks.GRACE_SECONDS = 0.5  # each leak below waits for it
adopt_orphans()
"""

SUSPECTS = """
import asyncio, os, socket, subprocess, sys, tempfile, threading
import pytest
from hypothesis import given, settings, strategies as st

KEPT = []

@pytest.fixture(scope="module")
def shared():
    with subprocess.Popen(["sleep", "100"]) as process, open(os.devnull):
        yield process
        process.kill()

def test_clean_nothing(): pass

def test_clean_closes(tmp_path):
    with (tmp_path / "f").open("w"), socket.socket(): pass
    subprocess.run(["true"], check=True)

def test_clean_shared_fixture(shared): assert shared.poll() is None

def test_clean_closed_a_moment_later():
    fd = os.memfd_create("late")
    threading.Timer(0.2, os.close, [fd]).start()

def test_clean_captures(capfd): print("hello")

async def test_clean_async():
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    await asyncio.create_task(asyncio.sleep(0))

async def test_clean_cancelled():
    asyncio.create_task(asyncio.sleep(100)).cancel()

def test_clean_orphan_that_ends():
    subprocess.run([sys.executable, "-c", "import subprocess; subprocess.Popen(['sleep', '0.2'])"], check=True)

def test_leak_file(tmp_path): KEPT.append((tmp_path / "f").open("w"))
def test_leak_deleted_memfd(): KEPT.append(os.memfd_create("upload"))
def test_leak_socket(): KEPT.append(socket.socket())
def test_leak_pipe(): KEPT.append(os.pipe())
def test_leak_process(): KEPT.append(subprocess.Popen(["sleep", "100"]))
def test_leak_orphan():
    subprocess.run([sys.executable, "-c", "import subprocess; subprocess.Popen(['sleep', '100'])"], check=True)
async def test_leak_task(): KEPT.append(asyncio.create_task(asyncio.sleep(100)))

@given(st.integers())
@settings(max_examples=2)
async def test_leak_task_of_hypothesis(number): KEPT.append(asyncio.create_task(asyncio.sleep(100)))

class TestGroup:
    async def test_leak_task_of_method(self): KEPT.append(asyncio.create_task(asyncio.sleep(100)))
    async def test_clean_method(self): await asyncio.sleep(0)

@pytest.fixture(scope="session", autouse=True)
def tidy_up():
    yield
    from tests.support.processes import children
    for child in children(os.getpid()):
        os.kill(child.pid, 9)
"""


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Test name -> "passed", or the message it failed with."""
    directory = tmp_path_factory.mktemp("suspects")
    suspects = directory / "test_suspects.py"
    suspects.write_text(SUSPECTS)
    (directory / "conftest.py").write_text(CONFTEST)
    report = directory / "report.xml"
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    argv += ["-o", "asyncio_default_fixture_loop_scope=function"]
    argv += ["-c", "/dev/null", "--rootdir", str(directory), f"--junitxml={report}", str(suspects)]
    done = subprocess.run(
        argv,
        check=False,  # it must fail: that is what is looked at
        cwd=CHECKOUT,
        env={"PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert report.exists(), done.stdout + done.stderr
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        problems = [*case.findall("failure"), *case.findall("error")]
        message = " ".join(f"{problem.get('message', '')} {problem.text or ''}" for problem in problems)
        found[case.get("name", "")] = f"{found.get(case.get('name', ''), '')} {message}".strip()
    return {name: message or "passed" for name, message in found.items()}


def test_tests_that_leave_nothing_pass(verdicts: dict[str, str]) -> None:
    clean = {name: verdict for name, verdict in verdicts.items() if name.startswith("test_clean")}
    assert len(clean) == 9
    assert set(clean.values()) == {"passed"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("test_leak_file", "file descriptors left open: "),
        ("test_leak_deleted_memfd", "/memfd:upload"),
        ("test_leak_socket", "file descriptors left open: socket"),
        ("test_leak_pipe", "file descriptors left open: pipe, pipe"),
        ("test_leak_process", "processes left running: sleep"),
        ("test_leak_orphan", "processes left running: sleep"),
        ("test_leak_task", "tasks left running"),
        ("test_leak_task_of_hypothesis", "tasks left running"),
        ("test_leak_task_of_method", "tasks left running"),
    ],
)
def test_a_test_that_leaks_fails_and_says_what(verdicts: dict[str, str], name: str, words: str) -> None:
    assert words in verdicts[name]
