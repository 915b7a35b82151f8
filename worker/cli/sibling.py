"""The program of a worker's further process: `python -m worker.cli.sibling PID-OF-THE-FIRST [OPTION…]`, with options of `celery
worker`. It stops when the first process is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

LOOK_S = 1.0


def main() -> None:
    """Run the worker."""
    first, *options = sys.argv[1:]
    _end_with(int(first))
    from worker.celery import app, one_line_for_trouble

    with one_line_for_trouble():
        app.prepare()
    app.worker_main(["--quiet", "worker", "--without-gossip", "--without-mingle", *options])


def _end_with(first: int) -> None:
    """Stop when the first process is gone, without a word to us: attempts end or are given back, as at any stop."""

    def watch() -> None:
        while os.getppid() == first:
            time.sleep(LOOK_S)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    threading.Thread(target=watch, name="first-process", daemon=True).start()


if __name__ == "__main__":
    main()
