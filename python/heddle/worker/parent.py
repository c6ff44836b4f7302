"""A worker that a data plane started ends with it: the kernel tells when the parent dies, and the
parent's id is looked at besides.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG = 1, 2
# The kernel sends it when the parent's *thread* ends, so it is one of our own, whose handler looks
# whether the parent is really gone.
_SIGNAL = signal.SIGRTMIN + 7 if hasattr(signal, "SIGRTMIN") else None


class Parent:
    """Remembers who started this process."""

    def __init__(self) -> None:
        self._pid = os.getppid()

    def gone(self) -> bool:
        return os.getppid() != self._pid

    def watch(self, stop: Callable[[], None]) -> None:
        """Calls `stop` as soon as the parent has ended. Main thread only. A death signal that the
        parent set itself stays.
        """
        try:
            prctl = ctypes.CDLL(None, use_errno=True).prctl
        except (OSError, AttributeError):
            return  # not Linux: looking at the parent's id is what is left
        if _SIGNAL is None:
            return
        signal.signal(_SIGNAL, lambda *_: stop() if self.gone() else None)
        present = ctypes.c_int()
        if prctl(_PR_GET_PDEATHSIG, ctypes.byref(present), 0, 0, 0) == 0 and present.value == 0:
            prctl(_PR_SET_PDEATHSIG, int(_SIGNAL), 0, 0, 0)
        if self.gone():
            stop()
