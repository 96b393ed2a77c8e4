"""Landlock: a thread gives up files and the network for itself and all that it starts (landlock(7), linux/landlock.h).

What a kernel does not know yet is left out, by the version of its interface: 1 files (Linux 5.13), 2 links between
directories, 3 truncating, 4 TCP, 5 ioctl on devices, 6 signals and abstract sockets (6.12), 7 (audit) adds nothing here.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterable

from media_service.ffmpeg.system_calls import call, gain_no_privileges

# The same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

EXECUTE, READ_FILE, READ_DIR = 1 << 0, 1 << 2, 1 << 3
_OF_FILES = EXECUTE | READ_FILE  # of those, the rights that a rule for a file may name

# How many rights over files each version knows, counted from bit 0. All that are known are taken away.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_NEWEST_RIGHTS = 16  # from 5 on
_BIND_AND_CONNECT_TCP = 0b11  # from 4 on
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11  # from 6 on


def version() -> int:
    """The version of the kernel's interface; 0 when it has none, has it switched off, or a container's filter hides it."""
    try:
        return call(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def handled(known: int) -> tuple[int, int, int]:
    """What a kernel of version `known` takes away: rights over files, over TCP, and scopes (struct landlock_ruleset_attr)."""
    rights = (1 << _RIGHTS.get(known, _NEWEST_RIGHTS)) - 1
    return (
        rights,
        _BIND_AND_CONNECT_TCP if known >= 4 else 0,
        _ABSTRACT_SOCKETS_AND_SIGNALS if known >= 6 else 0,
    )


def restrict(known: int, readable: Iterable[str], descriptors: Iterable[int]) -> None:
    """From here on the calling thread, and what it starts, may open nothing but what is named, and that to read only.

    `readable`: files, and directories with all that is below them, where programs may be started too. `descriptors`: open
    files that may be opened again through /proc/self/fd; what lies in memory (a memfd, a pipe) needs no leave. Descriptors
    that are open already stay as they are. There is no way back: call it in a thread that ends soon.
    """
    # What a kernel does not know must be zero at the end of the struct: then its size does not matter (landlock(7)).
    ruleset = call(_CREATE_RULESET, struct.pack("=QQQ", *handled(known)), 24, 0)
    try:
        for path in readable:
            _allow_path(ruleset, path)
        for descriptor in descriptors:
            _allow_descriptor(ruleset, descriptor)
        gain_no_privileges()
        call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow_path(ruleset: int, path: str) -> None:
    try:
        found = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # gone since it was found: what is not there needs no rule
    try:
        directory = stat.S_ISDIR(os.fstat(found).st_mode)
        _allow(ruleset, found, EXECUTE | READ_FILE | READ_DIR if directory else _OF_FILES)
    finally:
        os.close(found)


def _allow_descriptor(ruleset: int, descriptor: int) -> None:
    try:
        _allow(ruleset, descriptor, READ_FILE)
    except OSError as error:
        if error.errno != errno.EBADFD:  # it has no place in any directory, and Landlock lets it be opened
            raise


def _allow(ruleset: int, descriptor: int, rights: int) -> None:
    call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
