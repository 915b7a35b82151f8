"""Finding jobs: by words, time, kind and cause, from indexes that the transitions keep; and what happened when."""

from __future__ import annotations

import pytest

from tasks.errors import Refused
from tasks.model import Issue, JobState, LastError, Receipt, parse_command
from tasks.state.audit.entries import Event
from tasks.state.jobs.overview import JobFilter
from tasks.state.jobs.search import words_of
from tasks.state.jobs.transitions import Lease, Settlement

pytestmark = pytest.mark.usefixtures("destinations")
SECRET_WORD = "Zanzibar"


async def submit(services, number, title, command="create_servicenow_incident"):
    issue = Issue(id=f"inc-{number}", title=title)
    project = {"project": "Operations"} if "azure" in command else {}
    wanted = parse_command({"command": command, "issue_id": issue.id, **project})
    return (await services.submit(wanted, actor="cli:olga", issue=issue)).id


async def settle(services, job_id, to=JobState.DEAD, **more):
    job = (await services.ledger.claim(job_id, "w", Lease(0, 60_000))).job
    events = {JobState.DEAD: Event.DEAD, JobState.HELD: Event.HELD, JobState.DELIVERED: Event.DELIVERED}
    await services.ledger.settle(job, Settlement(to, events.get(to, Event.RETRYING), **more))


async def found(services, cursor=None, limit=50, **chosen):
    jobs, following = await services.ledger.list(JobFilter(**chosen), cursor, limit)
    return [job.id for job in jobs] if limit == 50 else ([job.id for job in jobs], following)


def failure(code="unknown_space", status=None, message="There is no space OPS."):
    return LastError(code=code, status=status, message=message, advice="Create it.")


async def test_a_job_is_found_by_words_of_its_title_its_ids_its_number_its_error_and_its_actor(services):
    first = await submit(services, 1, f"Checkout down: Pool exhausted in {SECRET_WORD}")
    second = await submit(services, 2, "Login pool slow")
    await settle(services, first, error=failure())
    receipt = Receipt(id="c537", ticket_number="INC0010002", url="https://x.example/1", change="created")
    await settle(services, second, JobState.DELIVERED, receipt=receipt)
    for text in (
        "checkout",
        "POOL exhausted",
        "inc-1",
        first,
        first[:8],
        "unknown_space",
        "space OPS",
        "olga checkout",
    ):
        assert await found(services, text=text) == [first], text
    for text in ("INC0010002", "inc0010002 login", "c537"):
        assert await found(services, text=text) == [second], text
    assert await found(services, text="pool") == [second, first]
    assert await found(services, text="pool nowhere") == []
    assert await found(services, text="pool", state=JobState.DEAD) == [first]
    assert await found(services, text="pool", destination="azure_devops") == []


async def test_redis_holds_none_of_the_words_that_jobs_are_found_by(services):
    """A title is content: at rest it is sealed, and what finds it tells whoever reads Redis nothing."""
    await submit(services, 1, f"Outage in {SECRET_WORD}")
    keys = [key.decode() async for key in services.redis.scan_iter(f"{services.settings.prefix}:*")]
    assert any(":find:" in key for key in keys)
    job = next(key for key in keys if ":job:" in key and not key.endswith(":events"))
    everything = " ".join([*keys, str(await services.redis.hgetall(job))])
    assert SECRET_WORD.lower() not in everything.lower()


async def test_jobs_are_found_by_when_they_were_submitted_and_by_kind(services):
    first = await submit(services, 1, "one")
    second = await submit(services, 2, "two", "create_azuredevops_workitem")
    at = {job_id: (await services.ledger.require(job_id)).created_ms for job_id in (first, second)}
    assert await found(services, since_ms=at[first]) == [second, first]
    assert await found(services, since_ms=at[second] + 1) == []
    assert await found(services, until_ms=at[first]) == []
    assert await found(services, until_ms=at[second] + 1) == [second, first]
    assert await found(services, kind="servicenow") == [first]
    assert await found(services, kind="azure_devops", text="two") == [second]


async def test_pages_of_a_search_miss_nothing_and_repeat_nothing(services):
    """Also where many jobs have the same moment, and where most that are looked at don't fit."""
    wanted = [await submit(services, n, "storm" if n % 3 == 0 else "calm") for n in range(21)]
    for job_id in wanted:
        await services.redis.zadd(f"{services.settings.prefix}:jobs", {job_id: 1_700_000_000_000})
    seen, cursor = [], None
    while True:
        page, cursor = await found(services, cursor, 2, text="storm")
        seen += page
        if cursor is None:
            break
    assert sorted(seen) == sorted(wanted[::3])


async def test_words_that_seldom_meet_are_found_however_many_jobs_have_one_of_them(services, monkeypatch):
    """Also where one look isn't enough: a page isn't empty while there are jobs that fit."""
    both = await submit(services, 0, "storm calm")
    for number in range(1, 9):
        await submit(services, number, "storm" if number % 2 else "calm")
    monkeypatch.setattr("tasks.state.jobs.overview.MOST_LOOKED_AT", 2)
    monkeypatch.setattr("tasks.state.jobs.overview.MOST_INTERSECTED", 0)
    assert await found(services, text="storm calm") == [both]
    monkeypatch.setattr("tasks.state.jobs.reading.TURNS", 1)
    ids, following = await found(services, limit=10, text="storm calm")
    assert (ids, following is None) == ([], False)


async def test_words_that_seldom_meet_are_found_in_one_look(services, monkeypatch):
    """Redis intersects what both words find; a cursor and days narrow it, and jobs of one moment are neither lost nor repeated."""
    titles = ["storm calm" if number % 5 == 0 else "storm" if number % 2 else "calm" for number in range(25)]
    ids = [await submit(services, number, title) for number, title in enumerate(titles)]
    keys = [key async for key in services.redis.scan_iter(f"{services.settings.prefix}:find:*")]
    for number, job_id in enumerate(ids):
        for key in keys:
            await services.redis.zadd(key, {job_id: 1_700_000_000_000 + number // 11}, xx=True)
    monkeypatch.setattr("tasks.state.jobs.overview.PATIENCE", 1)
    monkeypatch.setattr("tasks.state.jobs.overview.MOST_LOOKED_AT", 2)
    monkeypatch.setattr("tasks.state.jobs.reading.TURNS", 1)

    async def pages(**days):
        cursor = None
        for _ in titles:
            ids, cursor = await found(services, cursor, 2, text="storm calm", **days)
            yield ids
            if cursor is None:
                return

    def newest_first(numbers):
        return [ids[number] for number in sorted(numbers, key=lambda number: (number // 11, ids[number]), reverse=True)]

    whole = newest_first(range(0, 25, 5))
    assert [page async for page in pages()] == [whole[:2], whole[2:4], whole[4:]]
    assert [page async for page in pages(since_ms=1_700_000_000_001)] == [whole[:2]]
    assert [page async for page in pages(until_ms=1_700_000_000_001)] == [whole[2:4], whole[4:]]


async def test_a_job_is_found_by_the_beginning_of_its_id_without_a_walk_through_all(services, monkeypatch):
    """From an index of ids; jobs that an older version stored aren't in it, and are found by walking."""
    first, second = [await submit(services, number, "x") for number in range(2)]
    walked = services.ledger._walked

    async def no_walk(beginning):
        raise AssertionError("it walked")

    monkeypatch.setattr(services.ledger, "_walked", no_walk)
    assert (await services.ledger.find(first[:9])).id == first
    assert (await services.ledger.find(second)).id == second
    with pytest.raises(Refused, match="There is no job"):
        await services.ledger.find("ffff[")
    monkeypatch.setattr(services.ledger, "_walked", walked)
    await services.redis.zrem(f"{services.settings.prefix}:ids", first)
    assert (await services.ledger.find(first[:9])).id == first


async def test_causes_are_counted_over_all_jobs_and_each_is_a_filter(services):
    """However many there are, by state and destination; a job that moves on leaves its group."""
    ids = [await submit(services, n, "x") for n in range(6)]
    for job_id in ids[:4]:
        await settle(services, job_id, error=failure())
    await settle(services, ids[4], error=failure("server_error", 503, "Unavailable."))
    await settle(services, ids[5], JobState.HELD, error=failure("secrets"))
    overview = services.ledger.overview
    causes = await overview.causes(JobState.DEAD)
    assert [(cause.name, cause.count) for cause in causes] == [("unknown_space", 4), ("server_error 503", 1)]
    assert causes[0].example == ids[3]
    assert [cause.name for cause in await overview.causes(JobState.HELD, "servicenow")] == ["secrets"]
    assert await overview.causes(JobState.DEAD, "confluence") == []
    assert await found(services, state=JobState.DEAD, cause="server_error 503") == [ids[4]]
    await services.retry(ids[0], "test")
    assert (await overview.causes(JobState.DEAD))[0].count == 3
    done = [
        progress
        async for progress in services.act_on_all(
            "retry", JobFilter(state=JobState.DEAD, cause="unknown_space"), actor="test"
        )
    ]
    assert (done[-1].done, done[-1].total) == (3, 3)
    assert [cause.name for cause in await overview.causes(JobState.DEAD)] == ["server_error 503"]


async def test_a_job_that_is_forgotten_is_found_no_more_and_leaves_nothing(services):
    """The indexes shrink with the jobs."""
    job_id = await submit(services, 1, "Checkout down")
    await settle(services, job_id, error=failure())
    server_ms = await services.core.ledger._journal.server_ms()
    args = {"kind": "finished:dead", "before_ms": server_ms + 1, "names": [job_id]}
    await services.core.ledger._journal.commit("upkeep/trim", args, Event.TRIMMED)
    assert await found(services, text="checkout") == []
    assert await services.ledger.overview.causes(JobState.DEAD) == []
    left = [key.decode() async for key in services.redis.scan_iter(f"{services.settings.prefix}:*")]
    assert not [key for key in left if ":find:" in key or ":cause" in key or key.endswith(":ids")]


async def test_the_history_counts_what_happened_by_destination_in_slots(services):
    """What the overview draws: submissions, ends, and how long deliveries took."""
    ids = [await submit(services, n, "x") for n in range(3)]
    receipt = Receipt(id="1", url="https://x.example/1", change="created")
    await settle(services, ids[0], JobState.DELIVERED, receipt=receipt)
    await settle(services, ids[1], error=failure())
    now_ms = await services.core.ledger._journal.server_ms()
    slots = await services.ledger.overview.history(now_ms - 600_000, now_ms + 1)
    total = {}
    for slot in slots:
        for what, count in slot.counts["servicenow"].items():
            total[what.partition(" ")[0]] = total.get(what.partition(" ")[0], 0) + count
    assert total == {"submitted": 3, "delivered": 1, "dead": 1, "took": 1}
    assert await services.ledger.overview.history(now_ms - 7_200_000, now_ms - 3_600_000) == []


def test_words_are_what_people_would_search_for():
    assert words_of(["Größe: DB-Pool_x (v2) – a", "ＲＣＡ db"]) == ["grösse", "db", "pool", "v2", "rca"]
    assert words_of(["wort " * 100 + " ".join(f"w{n}" for n in range(100))])[:2] == ["wort", "w0"]
