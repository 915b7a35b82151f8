"""Child processes that end with their parent, even where that is killed and can say nothing any more."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def dies_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` that has Linux send `number` when the parent is gone (prctl(2)); None on other systems.

    "Parent" is the thread that starts the child: start children from one that lives as long as they should.
    The C library is loaded here, before the fork: a child of a process with threads must not import.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)

    return ask
