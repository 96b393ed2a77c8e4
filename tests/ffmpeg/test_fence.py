"""The fence is looked at from inside: /proc of a child that runs behind it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from media_service.ffmpeg.fence import (
    FORMATS,
    Limits,
    cpu_seconds,
    environment,
    fenced,
    input_options,
    source_url,
)
from tests.support.processes import wait_until

LIMITS = Limits(cpu_seconds=12.2, memory_bytes=512 << 20)


def inside(*argv: str) -> str:
    done = subprocess.run(
        fenced(argv, LIMITS), env=environment(), capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout


def test_the_kernel_limits_hold_for_the_child() -> None:
    table = {
        line[:26].strip(): line[26:].split()[:2] for line in inside("cat", "/proc/self/limits").splitlines()
    }
    assert table["Max cpu time"] == ["25", "25"]  # twice what the watchdog allows
    assert table["Max address space"] == [str(512 << 20)] * 2
    assert table["Max file size"] == ["0", "0"]
    assert table["Max core file size"] == ["0", "0"]
    assert table["Max open files"] == ["64", "64"]


def test_the_child_gains_no_privileges() -> None:
    assert "NoNewPrivs:\t1" in inside("cat", "/proc/self/status")


def test_the_child_knows_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIA_SERVICE_ADMIN_TOKEN", "hush")
    assert "hush" not in inside("env")
    assert set(environment()) == {"PATH", "LANG", "HOME", "AV_LOG_FORCE_NOCOLOR"}


def test_the_child_can_write_to_pipes_but_not_to_files(tmp_path: Path) -> None:
    assert inside("echo", "through a pipe") == "through a pipe\n"
    target = tmp_path / "file"
    done = subprocess.run(
        fenced(["dd", "if=/dev/zero", f"of={target}", "bs=1", "count=1"], LIMITS),
        env=environment(),
        capture_output=True,
        check=False,
        timeout=10,
    )
    assert done.returncode != 0
    assert target.stat().st_size == 0


def test_a_child_that_wants_more_memory_does_not_get_it() -> None:
    done = subprocess.run(
        fenced(["dd", "if=/dev/zero", "of=/dev/null", "bs=1G", "count=1"], LIMITS),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    assert done.returncode != 0
    assert "memory exhausted" in done.stderr


def test_every_input_is_bound_to_real_containers() -> None:
    options = input_options(Limits(max_pixels=100, max_streams=3))
    assert options["format_whitelist"] == FORMATS
    assert not {"hls", "dash", "concat", "sdp", "image2", "lavfi", "tty"} & set(FORMATS.split(","))
    assert (options["max_pixels"], options["max_streams"]) == ("100", "3")


def test_a_source_is_opened_through_proc() -> None:
    assert source_url(7) == "/proc/self/fd/7"


def test_processor_time_counts_what_a_child_starts() -> None:
    script = "(while :; do :; done) & wait"
    with subprocess.Popen(["sh", "-c", script], start_new_session=True) as child:
        try:
            wait_until(lambda: cpu_seconds(child.pid) > 0.2, 20, "the child's child works")
            assert 0.2 < cpu_seconds(child.pid) < 20
        finally:
            os.killpg(child.pid, signal.SIGKILL)
    with pytest.raises(FileNotFoundError):
        cpu_seconds(child.pid)
