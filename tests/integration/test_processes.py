"""Real worker processes, a plain Celery client, signals, and messages that no worker should survive by luck."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid

import aiohttp
import pytest
import redis
from kombu import Connection, Queue

from config.keys import load_key_ring
from tasks.model import JobState, parse_command
from tasks.state.vault import seal
from tests.conftest import READY_S, ROOT, environment, stop, until
from tests.integration.test_lifecycle import INCIDENT, PUBLISH, WORK_ITEM
from worker.broker.settings import QUEUES

pytestmark = pytest.mark.usefixtures("destinations")


async def settled(services, job_id):
    async def rests():
        job = await services.ledger.get(job_id)
        return job if job and job.state not in (JobState.QUEUED, JobState.RUNNING, JobState.RETRYING) else None

    return await until(rests, what=f"the end of job {job_id}")


async def alive(services, count=1):
    async def enough():
        return await services.redis.zcard(f"{services.settings.prefix}:workers") >= count

    return await until(enough, what="the heartbeats of the workers")


async def test_submitted_jobs_are_delivered_by_a_worker_process(services, sandbox, content, start_worker):
    start_worker()
    jobs = [await services.submit(parse_command(c), actor="test") for c in (PUBLISH, INCIDENT, WORK_ITEM)]
    for job in jobs:
        assert (await settled(services, job.id)).state is JobState.DELIVERED
    assert (await sandbox.state())["counts"] == {"pages": 1, "incidents": 1, "work_items": 1, "issues": 0}
    assert (await services.audit.verify()).ok


@pytest.mark.parametrize(("option", "attempts"), [((), 200), (("--concurrency", "8"), 8)])
async def test_a_worker_has_room_for_as_many_attempts_as_it_was_told(services, start_worker, option, attempts):
    start_worker(sys.executable, "-m", "worker", "worker", *option)
    await alive(services)
    assert int(await services.redis.get(f"{services.settings.prefix}:capacity")) == attempts


@pytest.mark.parametrize(
    ("vendor", "command"), [("confluence", PUBLISH), ("servicenow", INCIDENT), ("azure_devops", WORK_ITEM)]
)
async def test_sigkill_between_request_and_answer_ends_in_one_object(
    services, sandbox, content, start_worker, vendor, command
):
    await sandbox.fault(vendor=vendor, operation="create", fault="slow_headers", seconds=2.5)
    first = start_worker()
    job = await services.submit(parse_command(command), actor="test")

    async def sent():
        requests = (await sandbox.state())["requests"]
        return any(r["vendor"] == vendor and r["operation"] == "create" for r in requests)

    await until(sent, what="the create request")
    stop(first, signal.SIGKILL)
    start_worker()
    assert (await settled(services, job.id)).state is JobState.DELIVERED
    assert len(await sandbox.objects(vendor)) == 1
    report = await services.audit.verify()
    assert report.ok, report.problems
    ended = await services.ledger.require(job.id)
    assert ended.crashes == 1

    async def closed():
        return "delivery.unknown" in [entry.event for entry in await services.audit.tail(500)]

    await until(closed, what="the outcome of the intent that the killed worker left")


async def test_a_plain_celery_client_gets_upstreams_results(services, sandbox, content, start_worker, plain):
    start_worker()
    identifier = str(uuid.uuid4())
    page = plain.send_task("publish_to_confluence", kwargs={"doc_id": "doc-1", "space_key": "OPS"}, task_id=identifier)
    ticket = plain.send_task("create_servicenow_incident", args=["inc-1", {"severity": "P2"}])
    item = plain.send_task(
        "create_azuredevops_workitem", args=["inc-1", "Operations"], kwargs={"config": {"work_item_type": "Task"}}
    )
    issue = plain.send_task("create_jira_issue", args=["inc-1", "OPS"], kwargs={"config": {"work_item_type": "task"}})
    await settled(services, identifier)
    assert set(page.get(timeout=READY_S)) == {"id", "url"}
    assert set(ticket.get(timeout=READY_S)) == {"id", "ticket_number", "url"}
    assert item.get(timeout=READY_S)["ticket_number"]
    assert (await services.ledger.require(identifier)).state is JobState.DELIVERED
    for vendor in ("azure_devops", "jira"):
        assert [made["kind"] for made in await sandbox.objects(vendor)] == ["Task"]
    done = issue.get(timeout=READY_S)
    assert (done["ticket_number"], done["url"]) == ("OPS-1", f"{sandbox.url}/browse/OPS-1")
    tested = plain.send_task("test_jira_connection", args=[sandbox.url, "jira"]).get(timeout=READY_S)
    assert tested["success"], tested["message"]


async def test_the_same_task_id_twice_is_one_job_and_one_object(services, sandbox, content, start_worker, plain):
    start_worker()
    for _ in range(3):
        result = plain.send_task("create_servicenow_incident", args=["inc-1"], task_id="the-same")
    assert result.get(timeout=READY_S)["id"]
    assert len(await sandbox.objects("servicenow")) == 1
    assert len((await services.ledger.list())[0]) == 1


async def test_a_retry_is_seen_as_retry_and_ends_as_success(services, sandbox, content, start_worker, plain):
    await sandbox.fault(vendor="servicenow", operation="create", fault="status", status=503)
    start_worker()
    result = plain.send_task("create_servicenow_incident", args=["inc-1"])

    async def retrying():
        return result.state == "RETRY"

    await until(retrying, what="the state RETRY")
    assert result.get(timeout=READY_S)["ticket_number"]
    assert result.state == "SUCCESS"


@pytest.mark.parametrize(
    ("name", "kwargs", "words"),
    [
        ("publish_to_confluence", {"doc_id": "never", "space_key": "OPS"}, "not stored"),
        ("publish_to_confluence", {"doc_id": "doc-1", "space_key": "OPS", "destination": "nowhere"}, "no destination"),
        ("create_servicenow_incident", {"issue_id": "never"}, "not stored"),
    ],
)
async def test_a_message_that_cant_work_ends_dead_with_the_reason_in_its_record(
    services, content, start_worker, plain, name, kwargs, words
):
    start_worker()
    result = plain.send_task(name, kwargs=kwargs)
    with pytest.raises(Exception, match=words):
        result.get(timeout=READY_S)
    job = await services.ledger.require(result.id)
    assert job.state is JobState.DEAD
    assert words in str(job.last_error)


async def test_a_bare_password_in_a_message_is_refused_and_shown_nowhere(
    services, sandbox, start_worker, plain, settings
):
    planted = "S3cret-" + "planted-41"
    start_worker()
    for credentials in (planted, {"username": "svc", "password": planted}):
        result = plain.send_task("test_servicenow_connection", args=[sandbox.url, credentials])
        answer = result.get(timeout=READY_S)
        assert answer["success"] is False
        assert "seal" in answer["message"]
        assert planted not in answer["message"]
    assert (await sandbox.state())["requests"] == []
    assert planted not in (settings.data / "worker-0.log").read_text()


async def test_a_sealed_credential_tests_a_connection_and_a_wrong_one_says_so(sandbox, start_worker, plain, settings):
    start_worker()
    ring = load_key_ring(settings)
    good = seal({"username": "svc", "password": "fine"}, ring)
    bad = seal({"username": "svc", "password": "wrong"}, ring)
    send = plain.send_task
    assert send("test_servicenow_connection", args=[sandbox.url, good]).get(timeout=READY_S)["success"] is True
    refused = send("test_servicenow_connection", args=[sandbox.url, bad]).get(timeout=READY_S)
    assert refused["success"] is False
    assert "401" in refused["message"]
    stored = send("test_confluence_connection", args=[sandbox.url, "confluence"]).get(timeout=READY_S)
    assert stored["success"] is True
    for step in ("credential (accepted as Sandbox)", "space (OPS)", "right to create pages (granted)"):
        assert step in stored["message"]
    elsewhere = send("test_confluence_connection", args=["https://evil.example", "confluence"]).get(timeout=READY_S)
    assert elsewhere["success"] is False


def test_a_channel_that_holds_messages_and_lost_its_connection_can_still_be_closed(valkey, caplog):
    connection = Connection(valkey.url, transport="worker.broker.channel:GuardedTransport")
    producer, channel = connection.Producer(), connection.default_channel
    producer.publish({"a": "message"}, routing_key="held", declare=[Queue("held", channel=channel)])
    assert channel.basic_get("held")
    channel._disconnect_pools()  # what is left when the first attempt to close it met a broker that was gone
    connection.transport.client = None
    channel.close()
    assert "could not be put back" in caplog.text


async def test_a_lost_message_is_sent_again(services, sandbox, content, start_worker, valkey):
    job = await services.submit(parse_command(INCIDENT), actor="test")
    assert await services.ledger.dispatch(1, 10) == [job.id]  # as if sent, and then lost by the broker
    client = redis.Redis.from_url(valkey.url)
    for queue in QUEUES:
        client.delete(queue)
    client.close()
    start_worker()
    assert (await settled(services, job.id)).state is JobState.DELIVERED


async def test_celerys_own_command_runs_the_same_worker(services, sandbox, content, start_worker):
    start_worker(sys.executable, "-m", "celery", "-A", "worker", "worker")
    job = await services.submit(parse_command(INCIDENT), actor="test")
    assert (await settled(services, job.id)).state is JobState.DELIVERED


async def test_sigterm_lets_the_running_attempt_finish(services, sandbox, content, start_worker):
    await sandbox.fault(vendor="servicenow", operation="create", fault="slow_headers", seconds=1)
    worker = start_worker()
    job = await services.submit(parse_command(INCIDENT), actor="test")

    async def running():
        return (await services.ledger.require(job.id)).state is JobState.RUNNING

    await until(running)
    stop(worker)
    assert (await services.ledger.require(job.id)).state is JobState.DELIVERED


async def test_flower_shows_tasks_and_nothing_secret(
    services, sandbox, content, start_worker, plain, settings, unused_tcp_port, monkeypatch
):
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
    planted = "S3cret-" + "planted-42"
    start_worker()
    await alive(services)
    flower = start_worker(
        sys.executable, "-m", "celery", "-A", "worker", "flower", f"--port={unused_tcp_port}", "--address=127.0.0.1"
    )
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with aiohttp.ClientSession() as session:

        async def get(path):
            async with session.get(url + path) as answer:
                return await answer.text() if answer.status == 200 else ""

        await until(lambda: get("/workers?json=1"), what="Flower")
        plain.send_task("test_servicenow_connection", args=[sandbox.url, planted])
        await sandbox.fault(vendor="servicenow", operation="create", fault="status", status=503)
        job = plain.send_task("create_servicenow_incident", args=["inc-1"])
        seen = set()

        async def succeeded():
            text = await get("/api/tasks") or "{}"
            assert planted not in text
            task = json.loads(text).get(job.id, {})
            seen.add(task.get("state"))
            return task.get("state") == "SUCCESS" and task

        task = await until(succeeded, what="SUCCESS in Flower")
        assert task["name"] == "create_servicenow_incident"
        assert "RETRY" in seen
        assert planted not in await get("/tasks")
        assert planted not in await get(f"/task/{job.id}")
    assert flower.poll() is None


def cli(settings, *arguments, stdin=""):
    return subprocess.run(
        [sys.executable, "-m", "worker", *arguments],
        cwd=ROOT,
        env=environment(settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


async def test_the_command_line_does_the_main_job(services, sandbox, start_worker, settings, tmp_path):
    start_worker()
    (tmp_path / "rca.md").write_text("# RCA: x\n\nwords")
    (tmp_path / "issue.json").write_text(
        json.dumps({"id": "inc-9", "title": "x", "severity": "P1", "description": "d"})
    )
    for command in (
        ("document", "put", str(tmp_path / "rca.md"), "--id", "rca-9", "--issue-id", "inc-9"),
        ("issue", "put", str(tmp_path / "issue.json")),
        ("publish", "rca-9", "--space", "OPS", "--wait"),
        ("incident", "inc-9", "--wait"),
        ("workitem", "inc-9", "--project", "Operations", "--type", "Task", "--wait"),
        ("job", "list"),
        ("audit", "tail"),
        ("audit", "verify"),
        ("destination", "test", "azure_devops"),
        ("doctor",),
    ):
        done = cli(settings, *command, "--json")
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        json.loads(done.stdout)
    assert (await sandbox.state())["counts"] == {"pages": 1, "incidents": 1, "work_items": 1, "issues": 0}


async def test_every_refusal_is_one_line_with_a_way_out(services, settings, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "latin.md").write_bytes(b"\xff\xfe\xfa")
    (tmp_path / "loose").write_text("x")
    (tmp_path / "bom.md").write_bytes(b"\xef\xbb\xbf\n")
    (tmp_path / "body.json").write_text('{"id": "d", "title": "T", "markdown": "words"}')
    for arguments, status, words in [
        (("publish", "never", "--space", "OPS"), 1, "not stored"),
        (("incident", "never", "--to", "nowhere"), 1, "no destination"),
        (("job", "show", "nothing"), 1, "no job"),
        (("destination", "test", "nowhere"), 1, "no destination"),
        (("destination", "set", "Bad Name", "--kind", "servicenow", "--instance-url", "https://x.example"), 2, "name"),
        (
            ("destination", "set", "x", "--kind", "servicenow", "--instance-url", "https://u:p@x.example"),
            2,
            "user name",
        ),
        (("issue", "put", str(tmp_path / "bad.json")), 1, "not JSON"),
        (("document", "put", str(tmp_path / "latin.md")), 1, "UTF-8"),
        (("document", "put", str(tmp_path / "absent.md")), 1, "can't be read"),
        (("document", "put", "-"), 1, "holds no text"),
        (("document", "put", str(tmp_path / "bom.md")), 1, "holds no text"),
        (("document", "put", str(tmp_path / "body.json")), 1, "`content_md`"),
        (("issue", "put", str(tmp_path / "body.json")), 1, "`description`"),
        (("publish",), 2, "Missing argument"),
    ]:
        done = cli(settings, *arguments)
        assert done.returncode == status, (arguments, done.stdout, done.stderr)
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_trouble_with_keys_or_redis_is_one_line(settings):
    def line(**changes):
        env = environment(settings) | changes
        done = subprocess.run(
            [sys.executable, "-m", "worker", "job", "list"],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr

    assert "can't be reached" in line(AFTERWORD_REDIS_URL="redis://127.0.0.1:1/0")
    assert "'foo'" in line(AFTERWORD_REDIS_URL="redis://127.0.0.1:1/0?foo=bar")
    assert "32" in line(AFTERWORD_KEYS="c2hvcnQ=")
    assert "constant" in line(AFTERWORD_KEYS="A" * 43 + "=")
    (settings.data / "keys").chmod(0o644)
    assert "chmod 600" in line()
    (settings.data / "keys").unlink()
    assert "no key file" in line()
