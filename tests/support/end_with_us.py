"""Processes of a test end with it, also when it is killed, and also when they are frozen then."""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_us() -> None:
    """In a child, between fork and exec: let the kernel kill it once the thread that started it has ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
