"""Linux system calls that Python has no function for. They change the calling thread alone."""

from __future__ import annotations

import ctypes
import os

_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def call(number: int, *arguments: int | bytes | None) -> int:
    """syscall(2). Bytes are passed by their address, and must outlive nothing but the call. Raises OSError."""
    words = (ctypes.c_long(word) if isinstance(word, int) else word for word in arguments)
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def gain_no_privileges() -> None:
    """No set-user-id program helps this thread's children; without that, Landlock and seccomp ask for root (prctl(2))."""
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, *(ctypes.c_ulong(word) for word in (1, 0, 0, 0))) < 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")
