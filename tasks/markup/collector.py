"""Python's cycle collector, put off while a document is rendered."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_waiting: list[bool] = []


@contextmanager
def put_off() -> Iterator[None]:
    """No cycle is looked for inside, in any thread; afterwards all is as it was.

    A document of 1 MB becomes a million tokens, which the collector would go through again and again while they are made.
    Tokens are in no cycle: they go when nobody needs them any more. The collector comes back with the last one to leave.
    """
    with _lock:
        _waiting.append(gc.isenabled())
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            was_enabled = _waiting.pop(0)
            if _waiting:
                _waiting[0] = was_enabled
            elif was_enabled:
                gc.enable()
