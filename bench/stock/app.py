"""A stock Celery application: a task for each destination that does the POST, with every setting that promises safety.

Late acknowledgement, rejection when a worker is lost, retries with exponential backoff and jitter on any error, the
prefork pool. The visibility timeout is short, so that what a dead worker held comes back within the run; by default it
takes an hour.
"""

from __future__ import annotations

import os
from typing import Any

import requests
from celery import Celery
from kombu import Queue

BROKER = os.environ.get("AFTERWORD_BROKER_URL") or os.environ.get("AFTERWORD_REDIS_URL", "redis://127.0.0.1:6379/0")
SANDBOX = os.environ.get("STOCK_SANDBOX_URL", "http://127.0.0.1:8080")
SECRET = "sandbox-not-a-secret"
TIMEOUT_S = 3
VISIBILITY_TIMEOUT_S = 30

app = Celery("stock", broker=BROKER, set_as_current=False)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_default_queue="stock",
    task_queues=[Queue("stock")],
    worker_pool="prefork",
    worker_concurrency=8,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": VISIBILITY_TIMEOUT_S, "socket_timeout": 30},
)
AGAIN: dict[str, Any] = {
    "autoretry_for": (requests.RequestException,),
    "retry_backoff": True,
    "retry_backoff_max": 60,
    "retry_jitter": True,
    "max_retries": 16,
}


class Refused(Exception):
    """The vendor understood and refused, such as a page whose title is taken: trying again is no use."""


def post(path: str, account: str, body: object, media_type: str) -> None:
    """One POST; any answer but a success is an error, and so is none."""
    answer = requests.post(
        SANDBOX + path, json=body, auth=(account, SECRET), headers={"Content-Type": media_type}, timeout=TIMEOUT_S
    )
    if answer.status_code == 400:
        raise Refused(answer.text[:200])
    answer.raise_for_status()


@app.task(name="stock.confluence", **AGAIN)
def confluence(title: str, text: str) -> None:
    """Create a page."""
    body = {"representation": "storage", "value": f"<p>{text}</p>"}
    page = {"spaceId": "98300", "status": "current", "title": title, "body": body}
    post("/wiki/api/v2/pages", "sandbox@example.com", page, "application/json")


@app.task(name="stock.servicenow", **AGAIN)
def servicenow(title: str, text: str) -> None:
    """Create an incident."""
    incident = {"short_description": title, "description": text, "impact": "2", "urgency": "2"}
    post("/api/now/table/incident", "sandbox", incident, "application/json")


@app.task(name="stock.azure_devops", **AGAIN)
def azure_devops(title: str, text: str) -> None:
    """Create a work item."""
    fields = {"System.Title": title, "Microsoft.VSTS.TCM.ReproSteps": f"<p>{text}</p>"}
    patch = [{"op": "add", "path": f"/fields/{name}", "value": value} for name, value in fields.items()]
    post("/contoso/Operations/_apis/wit/workitems/$Bug?api-version=7.1", "", patch, "application/json-patch+json")


TASKS = {"confluence": confluence, "servicenow": servicenow, "azure_devops": azure_devops}
