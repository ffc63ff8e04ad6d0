"""A system-call filter that a caged child puts on itself: no sockets, no new processes, no kernel interfaces a reader never needs.

It is set with prctl(2) before the upload is opened, cannot be taken off again, and works without bubblewrap too. A denied call
fails with EPERM; `clone3`, whose flags a filter cannot see, with ENOSYS, so that the C library falls back to `clone` for threads.
Source: seccomp(2); numbers from asm/unistd_64.h and asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

_X86_64 = {
    "socket": 41, "fork": 57, "vfork": 58, "ptrace": 101, "pivot_root": 155, "chroot": 161, "acct": 163, "settimeofday": 164,
    "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169, "init_module": 175, "delete_module": 176,
    "quotactl": 179, "clock_settime": 227, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272,
    "perf_event_open": 298, "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310,
    "process_vm_writev": 311, "finit_module": 313, "bpf": 321, "userfaultfd": 323,
}  # fmt: skip
_AARCH64 = {
    "socket": 198, "ptrace": 117, "pivot_root": 41, "chroot": 51, "acct": 89, "settimeofday": 170, "mount": 40, "umount2": 39,
    "swapon": 224, "swapoff": 225, "reboot": 142, "init_module": 105, "delete_module": 106, "quotactl": 60, "clock_settime": 112,
    "kexec_load": 104, "add_key": 217, "request_key": 218, "keyctl": 219, "unshare": 97, "perf_event_open": 241,
    "name_to_handle_at": 264, "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271,
    "finit_module": 273, "bpf": 280, "userfaultfd": 282,
}  # fmt: skip
# The same numbers on every machine since Linux 5.1.
_COMMON = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430,
    "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_getfd": 438, "mount_setattr": 442,
}  # fmt: skip
_CLONE3 = 435
_MACHINES: dict[str, tuple[int, int, dict[str, int]]] = {  # machine: (AUDIT_ARCH, number of clone, denied calls)
    "x86_64": (0xC000003E, 56, _X86_64),
    "aarch64": (0xC00000B7, 220, _AARCH64),
}

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_FILTER = 1, 4, 38, 22, 2


def _instruction(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, k)


def program(machine: str) -> bytes:
    """The filter for a machine (`platform.machine()`), as the bytes of its BPF instructions; b"" when the machine is not known."""
    if machine not in _MACHINES:
        return b""
    arch, clone, denied = _MACHINES[machine]
    fail = _instruction(_RETURN, _FAIL | errno.EPERM)
    steps = [
        _instruction(_LOAD, 4),  # the architecture: another one would give the numbers another meaning
        _instruction(_JUMP_EQUAL, arch, yes=1),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, 0),  # the number of the call
        _instruction(_JUMP_AT_LEAST, _X32, no=1),
        fail,
        _instruction(_JUMP_EQUAL, _CLONE3, no=1),
        _instruction(_RETURN, _FAIL | errno.ENOSYS),
    ]
    for number in sorted((denied | _COMMON).values()):
        steps += [_instruction(_JUMP_EQUAL, number, no=1), fail]
    steps += [
        _instruction(_JUMP_EQUAL, clone, yes=1),
        _instruction(_RETURN, _ALLOW),
        _instruction(_LOAD, 16),  # clone: the low half of its first argument, the flags
        _instruction(_JUMP_ANY_BIT, _CLONE_THREAD, no=1),
        _instruction(_RETURN, _ALLOW),
        fail,
    ]
    return b"".join(steps)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def confine() -> bool:
    """Put the filter on this process and all its threads to come; False when this machine or kernel has none.

    The process also dies with its parent (as bubblewrap's does), so that a killed worker leaves no reader behind.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)
    code = program(platform.machine())
    if not code or libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    filter_ = _Program(len(code) // 8, code)
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_FILTER, ctypes.byref(filter_), 0, 0) == 0)
