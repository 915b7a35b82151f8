"""How long a producer waits for its answer, and a job for its first request, when nothing else goes on."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.peers.figures import percentile
from bench.peers.rows import Place, issue, run_app, set_up
from bench.peers.stage import ROOT, Vendor, child, until
from worker.api.serve import first_key
from worker.machine.embedded import EmbeddedValkey, free_port
from worker.runtime import open_services

JOBS = 200
PACE_S = 0.1
LATER = 10_000  # the numbers of the second part begin here
WARM_UP = 20


def submitting(vendor: Vendor, scale: float) -> dict[str, float]:
    """The figures by their keys, in milliseconds, and the ratio.

    The first submission meets a worker that has just said that it is ready, and has done nothing yet. The times of POST and of
    `send_task` are those of one client on a kept connection, with no worker beside it; a few of each come before that.
    """
    jobs = max(round(JOBS * scale), 10)
    vendor.reset(0)
    with contextlib.ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="afterword-peers-")))
        valkey = closing.enter_context(EmbeddedValkey(folder / "valkey"))
        place = Place(folder, valkey.url, vendor.url)
        set_up(place)
        client = closing.enter_context(_api(place))
        with child([sys.executable, "-m", "worker", "worker"], ROOT, folder / "worker.log", place.variables):
            until(lambda: " ready." in (folder / "worker.log").read_text("utf-8"), "the worker")
            began = {}
            for number in range(jobs):
                began[issue(number).title] = time.monotonic()
                client.post(number)
                time.sleep(PACE_S)
            until(lambda: vendor.counts().distinct >= jobs, "the last delivery")
        seen = vendor.began()
        waits = [1000 * (seen[title] - at) for title, at in began.items()]
        posts = [client.post(LATER + number) for number in range(jobs + WARM_UP)][WARM_UP:]
        sends = json.loads(run_app(place, "celery", "celery_app.py", "time", jobs + WARM_UP))[WARM_UP:]
    return {
        "submit_vs_send_task": statistics.median(posts) / statistics.median(sends),
        "submit_ms_p50": statistics.median(posts),
        "submit_ms_p99": percentile(posts, 0.99),
        "send_task_ms_p50": statistics.median(sends),
        "latency_ms_p50": statistics.median(waits),
        "latency_ms_p99": percentile(waits, 0.99),
        "latency_ms_first": waits[0],
    }


class Client:
    """A producer with a kept connection to the API."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def post(self, number: int) -> float:
        """Submit one; returns the milliseconds until the answer was there. Raises `RuntimeError` for a refusal."""
        given = issue(number)
        content = given.model_dump(mode="json", exclude_defaults=True)
        body = json.dumps({"command": "create_servicenow_incident", "issue_id": given.id, "issue": content})
        began = time.perf_counter()
        self._connection.request("POST", "/v1/jobs", body, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        took = 1000 * (time.perf_counter() - began)
        if answer.status != 202:
            raise RuntimeError(f"POST /v1/jobs was answered with {answer.status}: {text[:200]!r}")
        return took


@contextlib.contextmanager
def _api(place: Place) -> Iterator[Client]:
    """The API in a process of its own, and a client with a key."""

    async def made() -> str:
        async with open_services(place.settings) as services:
            return str(await first_key(services, "bench"))

    key, port = asyncio.run(made()), free_port()
    command = [sys.executable, "-m", "worker", "api", "--port", str(port)]

    def answers() -> bool:
        try:
            http.client.HTTPConnection("127.0.0.1", port, timeout=5).request("GET", "/healthz")
        except OSError:
            return False
        return True

    with child(command, ROOT, place.folder / "api.log", place.variables):
        until(answers, "the API")
        yield Client(port, key)
