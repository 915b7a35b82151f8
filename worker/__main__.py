"""`afterword`, the same as `python -m worker`, is the command line."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command line. Ctrl-C while it is loaded ends it at once, as it ends any program that has done nothing yet."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # else a shell has it ignored, for a job in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from worker.cli import main as run

    signal.signal(signal.SIGINT, handler)
    run()


if __name__ == "__main__":
    main()
