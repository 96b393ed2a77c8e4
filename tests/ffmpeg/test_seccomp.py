"""The filter as a program: a small machine runs it, for both architectures; and the numbers, against the kernel's headers."""

from __future__ import annotations

import errno
import platform
import re
import struct
from pathlib import Path

import pytest

from media_service.ffmpeg import seccomp
from media_service.ffmpeg.seccomp import FIRST_UNKNOWN, LOOKED_AT, REFUSED, program
from tests.support.fenced import inside

X86_64, AARCH64, I386 = 0xC000003E, 0xC00000B7, 0x40000003
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
ARCHITECTURE = {"x86_64": X86_64, "aarch64": AARCH64}
COLUMN = {"x86_64": 0, "aarch64": 1}
both = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])

ALLOWED, KILLED = "allowed", "killed"
REFUSAL, MISSING = "EPERM", "ENOSYS"


def outcome(machine: str, number: int, *arguments: int, architecture: int = 0) -> str:
    """What the kernel would do with one call: classic BPF over struct seccomp_data, as its manual has it."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, architecture or ARCHITECTURE[machine], 0, *words)
    code = list(struct.iter_unpack("<HBBI", program(machine)))
    at, loaded = 0, 0
    while True:
        kind, when_true, when_false, operand = code[at]
        at += 1
        if kind == 0x20:
            (loaded,) = struct.unpack_from("<I", data, operand)
        elif kind == 0x06:
            action, number = operand & 0xFFFF0000, operand & 0xFFFF
            return {0x7FFF0000: ALLOWED, 0x80000000: KILLED}.get(action) or errno.errorcode[number]
        else:
            holds = {0x15: loaded == operand, 0x35: loaded >= operand, 0x45: bool(loaded & operand)}[kind]
            at += when_true if holds else when_false


@both
def test_the_numbers_are_the_kernels(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    defined = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[machine].read_text())
    known = {name: int(number) for name, number in defined}
    for name, numbers in {**REFUSED, **LOOKED_AT}.items():
        assert numbers[COLUMN[machine]] == known.get(name, 0), name
    assert all(number < FIRST_UNKNOWN or name == "syscalls" for name, number in known.items())


@both
def test_what_no_converter_needs_is_refused(machine: str) -> None:
    for name, numbers in REFUSED.items():
        if numbers[COLUMN[machine]]:
            assert outcome(machine, numbers[COLUMN[machine]]) == REFUSAL, name


@both
def test_everything_else_is_allowed(machine: str) -> None:
    named = {numbers[COLUMN[machine]] for numbers in {**REFUSED, **LOOKED_AT}.values()}
    refused = [number for number in range(FIRST_UNKNOWN) if outcome(machine, number) != ALLOWED]
    clone3 = LOOKED_AT["clone3"][COLUMN[machine]]
    assert set(refused) <= named
    assert outcome(machine, clone3) == MISSING


@both
def test_calls_that_are_newer_than_the_list_do_not_exist(machine: str) -> None:
    for number in (FIRST_UNKNOWN, 463, 1 << 20, 1 << 30, (1 << 30) + 41, (1 << 32) - 1):
        assert outcome(machine, number) == MISSING


@both
def test_calls_of_another_architecture_end_it(machine: str) -> None:
    others = {X86_64, AARCH64, I386} - {ARCHITECTURE[machine]}
    assert {outcome(machine, 0, architecture=other) for other in others} == {KILLED}


@both
def test_threads_and_children_may_be_made_but_no_namespaces(machine: str) -> None:
    clone = LOOKED_AT["clone"][COLUMN[machine]]
    assert outcome(machine, clone, 0x003D0F00) == ALLOWED  # pthread_create
    assert outcome(machine, clone, 0x4111) == ALLOWED  # vfork
    for bit in (17, 25, 26, 27, 28, 29, 30):
        assert outcome(machine, clone, 1 << bit | 17) == REFUSAL


@both
def test_its_own_limits_and_no_others(machine: str) -> None:
    prlimit = LOOKED_AT["prlimit64"][COLUMN[machine]]
    assert outcome(machine, prlimit, 0, 1) == ALLOWED
    assert outcome(machine, prlimit, 4711, 1) == REFUSAL


@both
def test_it_cannot_outlive_its_parent_by_a_change_of_mind(machine: str) -> None:
    prctl = LOOKED_AT["prctl"][COLUMN[machine]]
    assert outcome(machine, prctl, 1, 9) == ALLOWED
    assert outcome(machine, prctl, 1, 0) == outcome(machine, prctl, 1, 15) == REFUSAL
    assert outcome(machine, prctl, 15, 4096) == ALLOWED  # a thread's name


def test_other_machines_have_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert seccomp.machine() is None


def test_a_kernel_without_filters_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSYS, "no")

    monkeypatch.setattr(seccomp, "call", refuse)
    assert seccomp.machine() is None


@pytest.mark.skipif(seccomp.machine() is None, reason="no seccomp filter for this machine")
def test_a_program_that_aborts_still_ends() -> None:
    """abort() sends itself a signal, which is refused; it has another way."""
    assert inside("sh", "-c", "kill -9 $$; exit 7").status == 7
    assert inside("/usr/bin/python3", "-c", "import os; os.abort()").status != 0
