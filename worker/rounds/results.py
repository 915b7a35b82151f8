"""Results in Celery's backend, which is Redis: of a round's jobs together, and never one that takes back an end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery.app.task import Context
from celery.exceptions import Retry
from celery.states import READY_STATES, RETRY, SUCCESS


class Results:
    """The results of one round, stored in two trips however many there are. Celery's own functions take two trips for each.

    `backend` is a result backend in Redis.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._kept: dict[str, str] = {}

    @property
    def kept(self) -> set[str]:
        """The ids of the jobs whose results wait for `store`."""
        return set(self._kept)

    def succeeded(self, job_id: str, result: Mapping[str, str], request: Context) -> None:
        """Keep a success for `store`, where its producer wants to hear of it."""
        if request.ignore_result:
            return
        meta = self._backend._get_result_meta(result, SUCCESS, None, request)  # noqa: SLF001 - Celery has no public way
        self._kept[job_id] = self._backend.encode(meta | {"task_id": job_id})

    def store(self) -> None:
        """Store what was kept; as with Celery, a success that is there stays. Raises as the backend does."""
        if self._kept:
            self._backend.ensure(self._store, ())

    def _store(self) -> None:
        backend = self._backend
        values = {backend.get_key_for_task(job_id): value for job_id, value in self._kept.items()}
        held = backend.client.mget(list(values))
        with backend.client.pipeline(transaction=False) as pipe:
            for (key, value), before in zip(values.items(), held, strict=True):
                if _state_of(backend, before) != SUCCESS:
                    pipe.set(key, value, ex=backend.expires)
                    pipe.publish(key, value)
            pipe.execute()


def mark_as_retry(backend: Any, job_id: str, waits: Retry) -> None:
    """Store that a job waits for its next attempt, unless its end is stored: another worker may have told that meanwhile.

    Celery's own `mark_as_retry` looks before it writes, in two steps, and only spares a success. `backend` is a result
    backend in Redis.
    """
    key = backend.get_key_for_task(job_id)
    meta = backend._get_result_meta(backend.encode_result(waits, RETRY), RETRY, None, None)  # noqa: SLF001 - Celery has no public way
    value = backend.encode(meta | {"task_id": job_id})

    def store(pipe: Any) -> None:
        held = pipe.get(key)
        pipe.multi()
        if _state_of(backend, held) not in READY_STATES:
            pipe.set(key, value, ex=backend.expires)
            pipe.publish(key, value)

    backend.client.transaction(store, key)


def _state_of(backend: Any, stored: bytes | None) -> str:
    """The state that a stored result tells, if it is one."""
    try:
        return str(backend.decode(stored)["status"]) if stored else ""
    except Exception:  # whoever wrote it
        return ""
