"""A child process that cannot outlive its parent (Linux); elsewhere the supervisor's stop does it."""

import ctypes
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
"""Loaded with the module: between fork and exec nothing may be imported."""


def die_with_parent(death_signal: int = signal.SIGKILL) -> None:
    """Ask the kernel to send `death_signal` to this process when the thread that made it ends."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, int(death_signal))
