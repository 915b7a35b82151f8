"""Celery: threads that share one aiohttp session, and prefork processes with a requests session each.

`python celery_app.py bare|prefork|pages|plain|time COUNT` sends: to the peers' tasks, or to Afterword as any Celery client
does; `time` prints the milliseconds that each of so many `send_task` took.
"""

from __future__ import annotations

import asyncio
import functools
import json
import sys
import threading
import time
from typing import Any

import aiohttp
import requests
from celery import Celery
from incident import AT_ONCE, ENDPOINT, HEADERS, REDIS, WIKI, count, incident, page

app = Celery("peer", broker=REDIS)
app.conf.task_ignore_result = True


@functools.cache
def opened() -> tuple[asyncio.AbstractEventLoop, aiohttp.ClientSession]:
    """The process's event loop, in a thread of its own, and its session."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(headers=HEADERS, connector=aiohttp.TCPConnector(limit=AT_ONCE))

    return loop, asyncio.run_coroutine_threadsafe(session(), loop).result()


first_use = threading.Lock()


@app.task(name="bare")
def bare(fields: dict[str, str]) -> None:
    """POST on the loop; this thread waits."""
    with first_use:
        loop, session = opened()

    async def post() -> None:
        async with session.post(ENDPOINT, json=fields) as answer:
            answer.raise_for_status()
            await answer.read()

    asyncio.run_coroutine_threadsafe(post(), loop).result()


async def exchange(
    session: aiohttp.ClientSession, method: str, url: str, fields: dict[str, Any] | None = None
) -> dict[str, Any]:
    """One request; returns what the answer says."""
    async with session.request(method, url, json=fields) as answer:
        answer.raise_for_status()
        said: dict[str, Any] = await answer.json()
        return said


@app.task(name="pages")
def pages(fields: dict[str, Any]) -> None:
    """The exchanges that Afterword has for a page: its space, the page, a property that says whose it is."""
    with first_use:
        loop, session = opened()

    async def publish() -> None:
        space = (await exchange(session, "GET", f"{WIKI}/spaces?keys=OPS"))["results"][0]["id"]
        made = await exchange(session, "POST", f"{WIKI}/pages", {**fields, "spaceId": space})
        mark = {"key": "bench", "value": {"title": fields["title"]}}
        await exchange(session, "POST", f"{WIKI}/pages/{made['id']}/properties", mark)

    asyncio.run_coroutine_threadsafe(publish(), loop).result()


@functools.cache
def plain_session() -> requests.Session:
    """The process's session, which keeps its connection."""
    session = requests.Session()
    session.headers.update(HEADERS)
    return session


@app.task(name="prefork")
def prefork(fields: dict[str, str]) -> None:
    """POST in this process."""
    plain_session().post(ENDPOINT, json=fields, timeout=30).raise_for_status()


def main(what: str) -> None:
    """Send."""
    took = []
    for number in range(count()):
        began = time.perf_counter()
        if what == "plain":
            app.send_task("create_servicenow_incident", kwargs={"issue_id": f"case-{number}"})
        else:
            fields = page(number) if what == "pages" else incident(number)
            app.send_task("bare" if what == "time" else what, args=[fields])
        took.append(1000 * (time.perf_counter() - began))
    if what == "time":
        print(json.dumps(took))


if __name__ == "__main__":
    main(sys.argv[1])
