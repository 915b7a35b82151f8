"""Search and overview over 200,000 jobs: p50 and p95 of the API's list and of the console's pages, one request after another.

The ledger is filled by a script, as submissions and deliveries would leave it: titles of words that are as uneven as in a language.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import aiohttp

from config.settings import Settings
from tasks.destinations import parse_settings
from tasks.model import Document, Issue, Job, JobState, LastError, parse_command
from tasks.state.jobs.overview import SLOT_MS, kind_word
from worker.machine.stack import FAKE_SECRET, Stack, running_stack, sandbox_destinations
from worker.runtime import Services, open_services

JOBS, BATCH, ROUNDS, SEED = 200_000, 1_000, 60, 7
DAY_MS = 86_400_000
Question = Callable[[], Awaitable[tuple[int, int]]]  # answers the status and how many jobs were shown
RARE = 5  # jobs with the rare word
VOCABULARY = [f"w{rank}" for rank in range(3_000)]
UNEVEN = list(itertools.accumulate(1 / (rank + 1) for rank in range(3_000)))  # Zipf's law
IN_A_TITLE = 4  # words of these
ERRORS = (
    {"code": "unknown_space", "message": "There is no space OPS.", "advice": "Create it."},
    {"code": "server_error", "status": 503, "message": "The service is unavailable.", "advice": "Retry later."},
    {"code": "bad_request", "status": 400, "message": "A field is not valid.", "advice": "Correct it."},
)
STATES = {JobState.DELIVERED: 88, JobState.DEAD: 6, JobState.HELD: 1, JobState.CANCELLED: 2, JobState.SUPERSEDED: 3}
FILL = """
args = cjson.decode(ARGV[2])
for _, job in ipairs(args.jobs) do
  local id, made = job.id, job.created_ms
  redis.call('HSET', job_key(id), unpack(args.model))
  redis.call('HSET', job_key(id), 'id', id, 'created_ms', made, 'destination', args.destination)
  if job.error then redis.call('HSET', job_key(id), 'last_error', job.error) end
  redis.call('ZADD', key('jobs'), made, id)
  redis.call('ZADD', key('ids'), 0, id)
  redis.call('ZADD', key('jobs', args.destination), made, id)
  enter(id, job.state)
  found_by(id, job.terms)
end
redis.call('SADD', key('known'), args.destination)
"""


def main() -> None:
    """Fill and measure."""
    with tempfile.TemporaryDirectory(prefix="afterword-bench-") as folder:
        settings = Settings(data=Path(folder), redis_url=None, broker_url=None, keys_file=None, keys=None)
        with running_stack(settings, api_port=0, sandbox_port=0) as stack:
            asyncio.run(_measure(stack))


async def _measure(stack: Stack) -> None:
    chance = random.Random(SEED)
    async with open_services(stack.own_settings) as services:
        begun = time.monotonic()
        sample = await _fill(services, stack, chance)
        await _fill_history(services, chance)
        memory = (await services.redis.info("memory"))["used_memory"]
        spent = time.monotonic() - begun
        print(f"{JOBS} jobs stored in {spent:.0f} s; Redis holds {memory // 2**20} MB", flush=True)
        pids = (stack.children["api"].pid, (await services.redis.info("server"))["process_id"])
        _, key = await services.access.create("bench", ["admin"], None, "bench")
        async with aiohttp.ClientSession(str(stack.api_url), cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            await (await session.post("/login", data={"key": key, "next": "/"})).read()
            for name, ask in _questions(session, key, sample).items():
                await _print(name, ask, pids)


def _questions(session: aiohttp.ClientSession, key: str, sample: dict[str, str]) -> dict[str, Question]:
    """What is asked, by name."""

    def listed(**query: str) -> Question:
        async def ask() -> tuple[int, int]:
            headers = {"Authorization": f"Bearer {key}"}
            async with session.get("/v1/jobs", params={"limit": "50", **query}, headers=headers) as answer:
                return answer.status, len((await answer.json())["jobs"])

        return ask

    def shown(path: str) -> Question:
        async def ask() -> tuple[int, int]:
            async with session.get(path) as answer:
                return answer.status, (await answer.text()).count('<td class="wide"><a class="title"')

        return ask

    async def by_beginning() -> tuple[int, int]:
        async with session.get(f"/v1/jobs/{sample['id'][:7]}", headers={"Authorization": f"Bearer {key}"}) as answer:
            return answer.status, 1

    return {
        "no filter": listed(),
        "a word in all": listed(q="incident"),
        "a word of titles": listed(q=sample["word"]),
        "a rare word": listed(q="zanzibar"),
        "a word in none": listed(q="xylophone"),
        "a remote number": listed(q=sample["number"]),
        "destination and state": listed(destination="servicenow", state="dead"),
        "destination, state and a word": listed(destination="servicenow", state="dead", q=sample["word"]),
        "a cause": listed(state="dead", cause="unknown_space"),
        "two words that meet often": listed(q=f"incident {sample['word']}"),
        "two words, each in half, that meet once": listed(q="even odd"),
        "three words that never meet": listed(q="even odd zanzibar incident"),
        "dates": listed(since=sample["since"], until=sample["until"]),
        "dates and a word": listed(since=sample["since"], until=sample["until"], q=sample["word"]),
        "the beginning of an id": by_beginning,
        "console: jobs": shown("/jobs"),
        "console: a word in all": shown("/jobs?q=incident"),
        "console: failed jobs": shown("/jobs?state=dead"),
        "console: overview, 24 hours": shown("/?span=24h"),
        "console: overview, 7 days": shown("/?span=7d"),
    }


async def _print(name: str, ask: Question, pids: Sequence[int]) -> None:
    """The times of a question, without the first one, which fills what the server remembers."""
    await ask()
    spent, found = [], 0
    before = _processor_ms(pids)
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        status, found = await ask()
        spent.append((time.perf_counter() - begun) * 1000)
        assert status == 200, (name, status)
    used = [(after - earlier) / ROUNDS for after, earlier in zip(_processor_ms(pids), before, strict=True)]
    print(
        f"{name:<40} p50 {statistics.median(spent):6.1f} ms   p95 {statistics.quantiles(spent, n=20)[-1]:6.1f} ms   "
        f"processor: server {used[0]:.1f} ms, Redis {used[1]:.1f} ms   {found} shown",
        flush=True,
    )


def _processor_ms(pids: Sequence[int]) -> list[float]:
    """Milliseconds of processor time that these processes have used so far."""
    found = []
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        found.append((int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK"))
    return found


# -- what the ledger holds -------------------------------------------------------------------------------------------


async def _fill(services: Services, stack: Stack, chance: random.Random) -> dict[str, str]:
    """All jobs, over 30 days and three destinations, in turns of a batch; answers what to search for."""
    now_ms = services.core.clock_ms()
    models = await _models(services, stack)
    script = (resources.files("tasks.state") / "lua" / "prelude.lua").read_text("utf-8") + FILL
    rare, middle = set(chance.sample(range(JOBS), RARE)), JOBS // 2
    sample = {"word": "w40", "since": _moment(now_ms - 3 * DAY_MS), "until": _moment(now_ms - 2 * DAY_MS)}
    for start in range(0, JOBS, BATCH):
        model = models[start // BATCH % len(models)]
        words = iter(chance.choices(VOCABULARY, cum_weights=UNEVEN, k=BATCH * IN_A_TITLE))
        rows = []
        for number in range(start, start + BATCH):
            job_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
            state = chance.choices(list(STATES), list(STATES.values()))[0]
            title = ["incident", *itertools.islice(words, IN_A_TITLE), "even" if number % 2 else "odd"]
            title += ["zanzibar"] if number in rare else []
            if number == middle:
                state, title = JobState.DELIVERED, [*title, "even"]
                sample |= {"id": job_id, "number": f"INC{number:07}"}
            error = LastError(**ERRORS[number % len(ERRORS)]) if state in (JobState.DEAD, JobState.HELD) else None
            texts = [*title, f"inc-{number}", kind_word(model.kind), job_id, "bench"]
            texts += [error.code, error.message] if error else []
            texts += [f"INC{number:07}"] if state is JobState.DELIVERED else []
            row = {
                "id": job_id,
                "state": state,
                "created_ms": now_ms - 30 * DAY_MS * (JOBS - number) // JOBS,
                "terms": await services.ledger.overview.search.terms(texts),
            }
            rows.append(row | ({"error": error.model_dump_json()} if error else {}))
        args = {"model": await _fields(services, model), "destination": model.destination, "jobs": rows}
        await services.redis.eval(script, 0, services.settings.prefix, json.dumps(args))
    return sample


async def _models(services: Services, stack: Stack) -> list[Job]:
    """One job for each destination, which stay where they are: nothing is delivered while we measure."""
    issue = Issue(id="inc-of-bench", title="Incident: the pool ran dry", description="words")
    document = Document(id="doc-of-bench", title="Post-mortem: the pool ran dry", content_md="# Words")
    commands = {
        "servicenow": {"command": "create_servicenow_incident", "issue_id": issue.id},
        "azure_devops": {"command": "create_azuredevops_workitem", "issue_id": issue.id, "project": "Operations"},
        "confluence": {"command": "publish_to_confluence", "doc_id": document.id, "space_key": "OPS"},
    }
    models = []
    settings = sandbox_destinations(str(stack.sandbox_url))
    for name, command in commands.items():
        await services.destinations.set(name, parse_settings(settings[name]), FAKE_SECRET, "bench")
        await services.destinations.pause(name, "bench")
        content = {"document": document} if name == "confluence" else {"issue": issue}
        models.append(await services.submit(parse_command(command), actor="bench", **content))
    return models


async def _fields(services: Services, model: Job) -> list[str]:
    """A model's record, as the arguments of HSET, without what the script writes by itself."""
    stored = await services.redis.hgetall(f"{services.settings.prefix}:job:{model.id}")
    left_out = {b"id", b"created_ms", b"state", b"terms", b"due_ms", b"sends"}
    return [part.decode() for name, value in stored.items() if name not in left_out for part in (name, value)]


async def _fill_history(services: Services, chance: random.Random) -> None:
    """What the overview draws, in every slot of eight days."""
    now_ms = services.core.clock_ms()
    pipeline = services.redis.pipeline(transaction=False)
    for at_ms in range(now_ms - now_ms % SLOT_MS - 8 * DAY_MS, now_ms - SLOT_MS, SLOT_MS):
        slot = {
            f"{name} {what}": chance.randrange(1, 60)
            for name in ("servicenow", "azure_devops", "confluence")
            for what in ("submitted", "delivered", "dead", "retrying", "took 500", "took 1000", "took 5000", "took inf")
        }
        pipeline.hset(f"{services.settings.prefix}:history:{at_ms}", mapping=slot)
    await pipeline.execute()


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


if __name__ == "__main__":
    main()
