"""Celery's pool of threads, which may grow and shrink: for `--autoscale`, `pool_grow`, `pool_shrink` and Flower."""

from __future__ import annotations

from typing import Any

from celery.concurrency.thread import TaskPool


class ThreadPool(TaskPool):
    """Threads for connection tests. Adoptions and attempts run on the worker's loop, not here."""

    def __init__(self, limit: int | None = None, **options: Any) -> None:
        # `--autoscale=5` asks for none at the least, and no pool is that small.
        super().__init__(max(limit or 1, 1), **options)

    def grow(self, n: int = 1) -> None:
        """Let `n` more messages be handled at once."""
        self._resize(self.limit + n)

    def shrink(self, n: int = 1) -> None:
        """Let `n` fewer messages be handled at once; those being handled finish."""
        self._resize(max(self.limit - n, 1))

    @property
    def num_processes(self) -> int:
        """How many messages are handled at once, by the name that Celery's autoscaler knows."""
        return self.limit

    def _resize(self, limit: int) -> None:
        self.limit = self.executor._max_workers = limit  # noqa: SLF001 - read anew whenever work is submitted
