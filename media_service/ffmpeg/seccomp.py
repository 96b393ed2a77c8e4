"""A seccomp filter: the system calls that no converter needs, refused to a thread and all that it starts (seccomp(2)).

Landlock does not know UDP, sockets with a name in the file system, modes and owners of files, shared memory that outlives
its maker, or other processes' limits; this does. It names what is refused, so that a new libc does not stop ffmpeg; but
calls that are newer than this list do not exist behind it.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys

from media_service.ffmpeg.system_calls import call, gain_no_privileges

# name: (x86_64, aarch64), from asm/unistd_64.h and asm-generic/unistd.h; 0 where an architecture has no such call
# fmt: off
REFUSED = {
    # the network, and sockets of every other kind; descriptors of any are not inherited
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242),
    # other processes: signals (abort() ends without one, too), memory, descriptors, limits, priorities
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "kcmp": (312, 272), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122), "migrate_pages": (256, 238), "move_pages": (279, 239),
    # files: what Landlock leaves to the owner, and truncating, which it knows since version 3
    "chmod": (90, 0), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, 0), "lchown": (94, 0), "fchown": (93, 55),
    "fchownat": (260, 54), "utime": (132, 0), "utimes": (235, 0), "futimesat": (261, 0), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16), "truncate": (76, 45),
    # memory that its maker's end does not free, or that no limit counts
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "msgget": (68, 186),
    "msgsnd": (69, 189), "mq_open": (240, 180), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    # the house itself: mounts, namespaces, keys, programs in the kernel, rarely used and often broken corners of it
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "open_tree": (428, 428), "move_mount": (429, 429), "mount_setattr": (442, 442), "open_by_handle_at": (304, 265),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "fanotify_init": (300, 262), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "sethostname": (170, 161), "setdomainname": (171, 162), "syslog": (103, 116), "iopl": (172, 0), "ioperm": (173, 0),
    "modify_ldt": (154, 0), "personality": (135, 92),
}
LOOKED_AT = {"clone": (56, 220), "clone3": (435, 435), "prctl": (157, 167), "prlimit64": (302, 261)}
# fmt: on
FIRST_UNKNOWN = (
    452  # fchmodat2 (Linux 6.6) and all after it; also every call of the x32 ABI, which counts from 2^30
)

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH_*
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
# Kernels before 5.16 slow down whatever has a filter, against attacks between threads of one process. It has no secrets.
_SPEC_ALLOW = 1 << 2

_ALLOW, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_KILL_PROCESS = 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # linux/bpf_common.h
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data

_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_PR_SET_PDEATHSIG, _SIGKILL = 1, 9

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand (struct sock_filter)


def machine() -> str | None:
    """The architecture, if there is a filter for it and the kernel takes one."""
    name = platform.machine()
    if (
        name not in _ARCHITECTURES or sys.maxsize < 1 << 32
    ):  # a 32-bit Python makes other calls than its kernel
        return None
    try:
        call(_SECCOMP[name], _GET_ACTION_AVAIL, 0, struct.pack("=I", _REFUSE & 0xFFFF0000))
    except OSError:
        return None
    return name


def program(name: str) -> bytes:
    """The filter for an architecture, as an array of struct sock_filter (little-endian, as both machines are)."""
    column, architecture = _ARCHITECTURES[name]
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL_PROCESS),  # another architecture's calls on the same machine
        (_LOAD, 0, 0, _NUMBER),
        *_when(_AT_LEAST, FIRST_UNKNOWN, (_RETURN, 0, 0, _UNKNOWN)),
    ]
    for numbers in REFUSED.values():
        if numbers[column]:
            code += _when(_EQUAL, numbers[column], (_RETURN, 0, 0, _REFUSE))
    looked_at = {what: numbers[column] for what, numbers in LOOKED_AT.items()}
    # Its flags lie in memory that a filter cannot see; libc then falls back to clone.
    code += _when(_EQUAL, looked_at["clone3"], (_RETURN, 0, 0, _UNKNOWN))
    code += _when(_EQUAL, looked_at["clone"], *_refuse_if_bits(0, _NEW_NAMESPACES))
    code += _when(_EQUAL, looked_at["prlimit64"], *_refuse_unless(0, 0))  # its own limits only
    code += _when(
        _EQUAL,
        looked_at["prctl"],
        (_LOAD, 0, 0, _ARGUMENTS),
        (_EQUAL, 1, 0, _PR_SET_PDEATHSIG),
        (_RETURN, 0, 0, _ALLOW),
        *_refuse_unless(1, _SIGKILL),  # it dies with its parent, and cannot change its mind
    )
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


def install(name: str, filter_program: bytes) -> None:
    """Filter the calls of this thread and of all that it starts, for good."""
    gain_no_privileges()
    array = ctypes.create_string_buffer(filter_program, len(filter_program))
    described = struct.pack("HP", len(filter_program) // 8, ctypes.addressof(array))  # struct sock_fprog
    call(_SECCOMP[name], _SET_MODE_FILTER, _SPEC_ALLOW, described)


def _when(test: int, operand: int, *then: Instruction) -> list[Instruction]:
    """`then`, which must return, if the call's number is (at least) `operand`."""
    return [(test, 0, len(then), operand), *then]


def _refuse_unless(argument: int, value: int) -> list[Instruction]:
    return [
        (_LOAD, 0, 0, _ARGUMENTS + 8 * argument),
        (_EQUAL, 1, 0, value),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _refuse_if_bits(argument: int, bits: int) -> list[Instruction]:
    return [
        (_LOAD, 0, 0, _ARGUMENTS + 8 * argument),
        (_ANY_BIT, 0, 1, bits),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
