"""Whatever is sent, the answer is a problem document that shows nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging

import pytest

from tests.api.conftest import DOCUMENT, PUBLISH
from tests.conftest import until

PLANTED = "planted-not-a-secret-7f3a"


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad_json"),
        (b"{", "bad_json"),
        (b"\xff{}", "bad_json"),
        (b"\xef\xbb\xbf{}", "bad_json"),
        (b'{"command": NaN}', "bad_json"),
        (b'{"command": 1e999}', "bad_json"),
        (b'{"title": "\\ud800"}', "bad_json"),
        (b'{"doc_id":"a","doc_id":"b"}', "duplicate_name"),
        (b'{"document":{"id":"a","id":"a"}}', "duplicate_name"),
        (nested(250), "too_deep"),
        (b"[" * 1_000_000, "too_deep"),
        (b"[]", "invalid"),
        (b"null", "invalid"),
        (b'"' + b"[" * 1000 + b'"', "invalid"),
        (b"9" * 5000, "bad_json"),
    ],
)
async def test_a_body_that_is_not_a_job_is_refused(api, body, code):
    answer = await api.post("/v1/jobs", body)
    assert answer.problem == code
    assert 400 <= answer.status < 500


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"space_key": "no space"}, "/space_key"),
        ({"parent_page_id": "1a"}, "/parent_page_id"),
        ({"doc_id": "a\x00b"}, "/doc_id"),
        ({"doc_id": "a\r\nb"}, "/doc_id"),
        ({"unknown": 1}, "/unknown"),
        ({"config": {}}, "/config"),
        ({"command": "rm -rf"}, "/command"),
        ({"document": DOCUMENT | {"created_at": "yesterday"}}, "/document/created_at"),
        ({"document": DOCUMENT | {"created_at": 1e300}}, "/document/created_at"),
        ({"document": DOCUMENT | {"title": ""}}, "/document/title"),
        ({"document": DOCUMENT | {"content_md": {}}}, "/document/content_md"),
        ({"callback_url": f"https://user:{PLANTED}@example.com/"}, "/callback_url"),
    ],
)
async def test_each_field_that_does_not_fit_is_named_and_its_value_is_not(api, destinations, change, pointer, caplog):
    caplog.set_level(logging.DEBUG)
    answer = await api.post("/v1/jobs", PUBLISH | change)
    assert (answer.status, answer.problem) == (422, "invalid")
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]
    assert PLANTED not in answer.text + caplog.text


@pytest.mark.parametrize(
    ("path", "change", "said"),
    [
        ("/v1/issues/i", {"severity": "P9"}, {"/severity": "Must be P1 to P5, 1 to 5, or a word such as critical"}),
        ("/v1/issues/i", {"tags": 5}, {"/tags": "Must be a list of texts, or one as a JSON string"}),
        (
            "/v1/issues/i",
            {"created_at": "today"},
            {"/created_at": "Must be a time such as 2026-11-30 08:00:00 (in UTC)"},
        ),
        ("/v1/issues/i", {"title": 5, "status": 7}, {"/title": "Must be text", "/status": "Must be text"}),
        ("/v1/documents/d", {"content_md": ""}, {"/content_md": "Must hold words"}),
        ("/v1/destinations/x", {"allow_private": ["x"]}, {"/allow_private/0": "Must be a network such as 10.1.0.0/16"}),
        ("/v1/destinations/x", {"project": "a b"}, {"/project": "Must be a project's key, such as OPS"}),
        ("/v1/destinations/x", {"email": 5}, {"/email": "Must be text"}),
        ("/v1/destinations/x", {"parent": "x"}, {"/parent": "Is not known here"}),
        ("/v1/destinations/x", {"nope": 1, "burst": "x"}, {"/nope": "Is not known here", "/burst": "Must be a whole"}),
    ],
)
async def test_what_a_field_has_to_be_is_said_in_words_and_once(api, path, change, said):
    whole = {
        "issues": {"title": "t"},
        "documents": {"title": "t", "content_md": "x"},
        "destinations": {"kind": "jira", "base_url": "https://acme.atlassian.net", "secret": "s"},
    }
    answer = await api.put(path, whole[path.split("/")[2]] | change)
    errors = {error["pointer"]: error["detail"] for error in answer.json["errors"]}
    assert len(errors) == len(answer.json["errors"])
    assert errors.keys() == said.keys()
    assert all(errors[pointer].startswith(words) for pointer, words in said.items())


async def test_neither_an_answer_nor_the_log_repeats_a_secret(api, caplog):
    caplog.set_level(logging.DEBUG)
    settings = {"kind": "servicenow", "instance_url": "https://acme.example", "username": "svc", "secret": PLANTED}
    stored = await api.put("/v1/destinations/acme", settings)
    assert stored.status == 200
    assert stored.json["has_credential"]
    answers = [
        stored,
        await api.get("/v1/destinations/acme"),
        await api.get("/v1/destinations"),
        await api.get("/v1/audit"),
        await api.put("/v1/destinations/acme", settings | {"kind": "nothing"}),
        await api.put("/v1/destinations/acme", settings | {"secret": f"{PLANTED}\r\nX: y"}),
        await api.put("/v1/destinations/acme", settings | {"instance_url": f"https://svc:{PLANTED}@acme.example"}),
        await api.put("/v1/destinations/acme", settings | {PLANTED + "☃": 1}),
        await api.get(f"/v1/jobs?api_key={PLANTED}"),
        await api.get(f"/{PLANTED}"),
        await api.with_key(PLANTED).get("/v1/jobs"),
    ]
    assert all(answer.status == 200 or answer.problem for answer in answers)
    assert not any(PLANTED in answer.text for answer in answers)
    assert PLANTED not in caplog.text
    assert api.key not in caplog.text


async def test_a_stored_credential_is_not_sent_to_another_address(api):
    settings = {"kind": "servicenow", "instance_url": "https://acme.example", "username": "svc"}
    assert (await api.put("/v1/destinations/acme", settings | {"secret": PLANTED})).status == 200
    assert (await api.put("/v1/destinations/acme", settings | {"concurrency": 4.0})).json["settings"][
        "concurrency"
    ] == 4
    moved = await api.put("/v1/destinations/acme", settings | {"instance_url": "https://evil.example"})
    assert (moved.status, moved.problem) == (409, "credential_bound")


async def test_what_an_operator_reads_of_a_destination_can_be_stored_again(api, destinations):
    for name in ("confluence", "servicenow", "azure_devops"):
        shown = (await api.get(f"/v1/destinations/{name}")).json
        again = await api.put(f"/v1/destinations/{name}", shown["settings"])
        assert again.status == 200, again.text
        assert again.json["settings"] == shown["settings"]
        assert again.json["has_credential"]


async def test_another_method_is_told_which_ones_are_taken(api):
    answer = await api.call("PATCH", "/v1/jobs")
    assert (answer.status, answer.problem) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert (await api.get("/v2/jobs")).problem == "not_found"


async def test_the_head_of_whatever_can_be_read_is_its_answer_without_the_body(api):
    for path in ("/healthz", "/readyz", "/openapi.json", "/v1/jobs", "/v1/jobs/nothing"):
        head, whole = await api.call("HEAD", path), await api.get(path)
        assert (head.status, head.headers["Content-Type"]) == (whole.status, whole.headers["Content-Type"])
        assert head.text == ""
    assert (await api.call("HEAD", "/v1/jobs", Authorization="Bearer wrong")).status == 401


async def test_another_media_type_or_a_packed_body_is_refused(api):
    assert (await api.post("/v1/jobs", b"{}", Content_Type="text/plain")).status == 415
    assert (await api.post("/v1/jobs", b"{}", Content_Encoding="gzip")).status == 415


async def test_a_query_parameter_that_is_unknown_or_stands_twice_is_refused(api):
    for query in ("?nope=1", "?limit=1&limit=2", "?limit=0", "?limit=x", "?state=happy", "?destination=A"):
        assert (await api.get(f"/v1/jobs{query}")).problem == "invalid"
    for query in ("?wait=301", "?wait=-1", "?wait=NaN", "?wait=1e9", "?wait="):
        assert (await api.get(f"/v1/jobs/x{query}")).problem == "invalid"


async def raw(api, *parts: bytes) -> tuple[int, bytes]:
    """What a peer gets that speaks TCP rather than HTTP; it may hang up early."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
    except ConnectionError:
        pass
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer
    return int(head.split()[1]), body


async def test_what_is_not_http_gets_a_problem_document_too(api):
    for bytes_ in (b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n"):
        status, body = await raw(api, bytes_)
        assert (status, json.loads(body)["code"]) == (400, "bad_request")


async def test_an_endless_header_is_cut_off_early(api):
    status, body = await raw(api, b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ", b"a" * 20_000)
    assert (status, json.loads(body)["code"]) == (400, "header_too_long")


@pytest.mark.parametrize(
    "before", [b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"], ids=["at once", "after a request"]
)
async def test_a_client_that_drips_in_its_head_is_cut_off(api, monkeypatch, before):
    monkeypatch.setattr("worker.api.serve.HEAD_LIMIT_S", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    if before:
        writer.write(before)
        assert await reader.readuntil(b'"ok"}')
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n")

    async def drip():
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"X: a\r\n")
                await writer.drain()
                await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    with contextlib.suppress(ConnectionError):
        assert not await asyncio.wait_for(reader.read(), 60)
    await dripping
    writer.close()


async def test_a_connection_whose_heads_come_in_time_stays_open(api, monkeypatch):
    monkeypatch.setattr("worker.api.serve.HEAD_LIMIT_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    for _ in range(3):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await reader.readuntil(b'"ok"}')
        await asyncio.sleep(0.15)  # an idle connection isn't a slow one
    writer.close()


async def test_a_body_of_100_mb_is_refused_before_it_is_read(api):
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {api.key}\r\nContent-Type: application/json\r\n"
    announced = (head + "Content-Length: 100000000\r\n\r\n").encode()
    assert (await raw(api, announced, b"[" * 65536))[0] == 413
    chunked = (head + "Transfer-Encoding: chunked\r\n\r\n").encode()
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    assert (await raw(api, chunked, *([chunk] * 100)))[0] == 413


async def test_a_body_whose_framing_breaks_is_the_clients_fault(api, caplog):
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {api.key}\r\nContent-Type: application/json\r\n"
    broken = (head + "Transfer-Encoding: chunked\r\n\r\n").encode()
    assert (await raw(api, broken, b"5\r\n[1,2,\r\nZZ\r\n"))[0] == 400
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_client_that_hangs_up_in_its_body_leaves_no_fault_in_the_log(api, caplog):
    caplog.set_level(logging.INFO)
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {api.key}\r\nContent-Type: application/json\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    writer.write((head + "Content-Length: 1000\r\n\r\n[1,").encode())
    await writer.drain()
    writer.transport.abort()

    async def over():
        return "POST /v1/jobs 400" in caplog.text

    await until(over)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_everything_that_is_open_says_so_without_a_key(api, start_worker):
    stranger = api.with_key(None)
    assert (await stranger.get("/healthz")).json == {"status": "ok"}
    not_ready = await stranger.get("/readyz")
    assert not_ready.status == 503
    assert [check["name"] for check in not_ready.json["checks"] if not check["ok"]] == ["workers"]
    await api.services.ledger.heartbeat("w", 60_000, 8)
    assert (await stranger.get("/readyz")).json["ready"] is True
    assert "afterword" in (await stranger.get("/metrics")).text
    assert (await stranger.get("/openapi.json")).json["openapi"] == "3.1.0"


async def test_the_audit_is_read_page_by_page_and_verified(api, destinations):
    first = (await api.get("/v1/audit?limit=2")).json
    second = (await api.get(f"/v1/audit?after={first['next']}&limit=1000")).json
    ids = [entry["id"] for entry in first["entries"] + second["entries"]]
    assert len(ids) == len(set(ids)) >= 4
    assert (await api.get(f"/v1/audit?after={second['next']}")).json["next"] == second["next"]
    assert (await api.get("/v1/audit/verify")).json["ok"] is True


@pytest.mark.parametrize(
    "given",
    [
        *({"content_md": text} for text in ("", " \n\t\r\n", "\ufeff", "\u200b \u2060", "\x00\x00", None)),
        *({name: "words"} for name in ("body", "content", "markdown", "text")),
    ],
    ids=str,
)
async def test_a_document_without_a_text_is_refused_by_every_way_in(api, given):
    """Also one with its text under a name that there isn't: the answer says where it belongs."""
    document = {name: value for name, value in DOCUMENT.items() if name != "content_md"} | given
    stored = await api.put("/v1/documents/doc-1", document)
    submitted = await api.post("/v1/jobs", PUBLISH | {"document": document})
    assert (stored.status, submitted.status) == (422, 422)
    assert "content_md" in json.dumps(stored.json)
    assert "content_md" in json.dumps(submitted.json)


@pytest.mark.parametrize("name", ["body", "content", "content_md", "markdown", "text"])
async def test_an_issue_with_its_text_under_another_name_is_refused_by_every_way_in(api, name):
    """Its ticket would have none. Beside a description, such a field is one of others."""
    issue = {"title": "Broken", name: "words"}
    stored = await api.put("/v1/issues/inc-1", issue)
    job = {"command": "create_servicenow_incident", "issue_id": "inc-1", "issue": issue}
    submitted = await api.post("/v1/jobs", job)
    assert (stored.status, submitted.status) == (422, 422)
    assert f"`{name}`" in json.dumps(stored.json)
    assert "`description`" in json.dumps(submitted.json)
    assert (await api.put("/v1/issues/inc-1", issue | {"description": "x"})).json["ignored"] == [name]
    assert (await api.put("/v1/issues/inc-1", {"title": "Broken", "description": None})).status == 200


async def test_fields_that_nothing_is_made_of_are_named_in_the_answer(api, destinations):
    stored = await api.put("/v1/documents/doc-1", DOCUMENT | {"labels": ["a"], "Body": "x", "y" * 200: 1})
    assert stored.json == {"id": "doc-1", "title": DOCUMENT["title"], "ignored": ["Body", "labels", "y" * 80]}
    submitted = await api.post("/v1/jobs", PUBLISH | {"document": DOCUMENT | {"labels": ["a"]}})
    assert (submitted.status, submitted.json["ignored"]) == (202, ["labels"])
    many = {f"f{number}": 1 for number in range(50)}
    assert len((await api.put("/v1/issues/inc-1", {"title": "t"} | many)).json["ignored"]) == 20
    assert "ignored" not in (await api.put("/v1/documents/doc-1", DOCUMENT)).json
