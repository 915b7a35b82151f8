"""ServiceNow: an issue as an incident, found again by `correlation_id`.

The table API accepts anything: unknown or protected fields are dropped with a 201, a query part it can't parse is
ignored, and rows that the account may not read look like no rows. So values are read back, keys hold nothing that a
query could trip over, and a count that contradicts an empty list stops the job.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field, field_validator

from tasks.credentials.kinds import (
    ApiKey,
    Basic,
    ClientCredentials,
    Endpoints,
    JwtBearer,
    Login,
    Password,
    Renewable,
    Token,
)
from tasks.destinations.contract import (
    Account,
    Destination,
    DestinationSettings,
    Needs,
    Prepared,
    Work,
    basic,
    endpoints_of,
    rows_of,
    stored,
)
from tasks.destinations.servicenow.answers import as_strings, stored_incident
from tasks.destinations.servicenow.verdict import verdict
from tasks.errors import AttemptFailed, Permanent
from tasks.http.exchange import Http, Request
from tasks.http.origin import checked_url
from tasks.markup import clean, servicenow
from tasks.markup.options import Attachment
from tasks.model import (
    PAGE_TITLES,
    Command,
    ConnectionStep,
    CreateServiceNowIncident,
    Frozen,
    Issue,
    Link,
    Receipt,
    TicketConfig,
)

TABLE = "/api/now/table/incident"
FILES = "/api/now/attachment"
USERS = "/api/now/table/sys_user"
SHORT_DESCRIPTION_LENGTH = 160
DESCRIPTION_LENGTH = 4000
FIELD_NAME = re.compile(r"^[a-z][a-z0-9_]{0,79}$")
_LINKS = re.compile(r"\s*(?:\r?\n(?:" + "|".join(PAGE_TITLES.values()) + r"): https?://\S+)+\s*\Z")
OURS = frozenset({"correlation_id", "correlation_display", "sys_id", "number"})
# Impact and urgency that the default priority rules turn into P1 to P4.
LEVELS: Mapping[int, tuple[int, int]] = {1: (1, 1), 2: (1, 2), 3: (2, 2), 4: (2, 3)}


class ServiceNowSettings(DestinationSettings):
    """A ServiceNow instance."""

    kind: Literal["servicenow"] = "servicenow"
    instance_url: str
    username: Account | None = None
    auth: Basic | Token | ApiKey | ClientCredentials | Password | JwtBearer | Login | None = Field(
        default=None, discriminator="type"
    )
    attach_document: Literal["never", "when_cut", "always"] = "never"

    @field_validator("instance_url")
    @classmethod
    def _instance(cls, value: str) -> str:
        return checked_url(value)

    @property
    def login_lacks(self) -> str:
        """The account, where a password goes with it."""
        missing = isinstance(self.auth, Basic | Password) and not self.username
        return f"`{self.auth.type}` needs `username`" if missing and self.auth else ""

    @property
    def account_name(self) -> str | None:
        """The account."""
        return self.username

    @property
    def endpoints(self) -> Endpoints:
        """The instance's own: it is its own authorization server."""
        if not isinstance(self.auth, Renewable):
            return super().endpoints
        site = self.instance_url
        return endpoints_of(self.auth, f"{site}/oauth_token.do", authorize_url=f"{site}/oauth_auth.do")

    @property
    def address(self) -> str:
        """The instance."""
        return self.instance_url


class IncidentPlan(Frozen):
    """An incident's fields, all strings as the table API wants them. `unlinked` is the description without links."""

    fields: dict[str, str]
    unlinked: str
    expected_priority: str | None
    attachment: Attachment | None = None


class ServiceNow(Destination[ServiceNowSettings]):
    """One ServiceNow instance."""

    judge = staticmethod(verdict)

    def authorization(self, secret: str | None) -> Mapping[str, str]:
        """Basic with a user name and password, bearer with a token alone; an API key has a header of its own."""
        secret, auth = stored(secret), self.settings.auth
        if isinstance(auth, ApiKey):
            return {"x-sn-apikey": secret}
        if self.settings.username and not isinstance(auth, Token):
            return basic(self.settings.username, secret)
        return self.bearer(secret)

    def prepare(self, work: Work) -> Prepared[IncidentPlan]:
        """The incident's fields from the issue, with the job's overrides."""
        command = work.command
        if work.issue is None or not isinstance(command, CreateServiceNowIncident):
            raise Permanent("ServiceNow takes issues only.", code="wrong_kind")
        config = command.config
        block = links_block(work.links)
        fields = {
            "short_description": servicenow.without_code_tags(
                clean.plain_title(work.issue.title, SHORT_DESCRIPTION_LENGTH)
            ),
            "description": servicenow.render(work.issue.description, limit=DESCRIPTION_LENGTH - len(block)) + block,
            "correlation_id": work.subject,
            "correlation_display": "Afterword",
        }
        impact, urgency = _levels(config, work.issue.severity)
        if impact and urgency:
            fields |= {"impact": str(impact), "urgency": str(urgency)}
        if config.assignment_group:
            fields["assignment_group"] = config.assignment_group
        fields |= _extra(config)
        expected = _priority(impact, urgency) if impact and urgency else None
        unlinked = fields["description"]
        if block and "description" not in config.fields:
            unlinked = servicenow.render(work.issue.description, limit=DESCRIPTION_LENGTH)
        texts = {name: value for name, value in fields.items() if name not in OURS} | {"description": unlinked}
        attachment = self._document(work.issue)
        if attachment is not None:
            texts["attachment"] = attachment.content.decode()
        plan = IncidentPlan(fields=fields, unlinked=unlinked, expected_priority=expected, attachment=attachment)
        return Prepared(texts, plan)

    def _document(self, issue: Issue) -> Attachment | None:
        """The whole description as a file, where the settings want one."""
        attach = self.settings.attach_document
        cut = attach == "when_cut" and len(servicenow.render(issue.description)) > DESCRIPTION_LENGTH
        return servicenow.document_file(issue.description, issue.title) if cut or attach == "always" else None

    async def deliver(
        self, work: Work, prepared: Prepared[IncidentPlan], http: Http, now_ms: Callable[[], int]
    ) -> Receipt:
        """Update the subject's incident, or create it; then its attachment."""
        receipt = await self._deliver(work, prepared.plan, http, now_ms)
        if prepared.plan.attachment is not None and receipt.change != "skipped":
            try:
                await self._attach(http, receipt.id, prepared.plan.attachment)
            except AttemptFailed as failure:
                failure.receipt = receipt  # the incident stands
                raise
        return receipt

    async def _deliver(self, work: Work, plan: IncidentPlan, http: Http, now_ms: Callable[[], int]) -> Receipt:
        if_exists = work.command.config.if_exists if isinstance(work.command, CreateServiceNowIncident) else "update"
        known = await self._record(http, work.previous.id, plan) if work.previous else None
        found = False
        # "Not found" for an incident that was delivered may mean that it is out of sight: look by its key as well.
        if known is None and (work.previous is not None or work.doubt_until_ms is not None):
            known = await self._look_up(http, work.subject, plan)
            found = known is not None
            if known is None:
                work.settle_doubt(now_ms())
        if known is None:
            stored = await self._write(http, "POST", TABLE, "POST /table/incident", _params(plan), plan.fields)
            return self._receipt(stored, plan, "created")
        differs = _differing(known, plan)
        if if_exists == "skip":
            return self._receipt(known, plan, "skipped")
        if found and not differs:
            return self._receipt(known, plan, "found")
        if not differs:
            return self._receipt(known, plan, "unchanged")
        path = f"{TABLE}/{quote(known['sys_id'])}"
        stored = await self._write(http, "PATCH", path, "PATCH /table/incident/{sys_id}", _params(plan), plan.fields)
        return self._receipt(stored, plan, "updated")

    async def link(self, work: Work, http: Http) -> Receipt:
        """Bring the lines of links at the description's end up to date."""
        previous = work.previous
        if previous is None:
            raise Permanent("The job has no incident to link from.", code="unknown_incident")
        path = f"{TABLE}/{quote(previous.id)}"
        params = {"sysparm_fields": "sys_id,number,description", "sysparm_exclude_reference_link": "true"}
        request = Request("GET", path, "GET /table/incident/{sys_id}", params=params)
        response = await http.send(request, accept=frozenset({404}))
        if response.status == 404:
            gone = ("The incident is not there any more.",)
            return previous.model_copy(update={"change": "skipped", "warnings": gone})
        present = stored_incident(response).get("description", "")
        block = links_block(work.links)
        wanted = clean.cut(without_links(present), DESCRIPTION_LENGTH - len(block)) + block
        if wanted == present:
            return previous.model_copy(update={"change": "unchanged", "warnings": ()})
        http.keep_inside((wanted,))
        change = {"description": wanted}
        stored = await self._write(http, "PATCH", path, "PATCH /table/incident/{sys_id}", params, change)
        dropped = () if stored.get("description", "") == wanted else ("description was not stored as sent",)
        return previous.model_copy(update={"change": "updated", "warnings": dropped})

    async def _write(
        self, http: Http, method: str, path: str, operation: str, params: dict[str, str], fields: Mapping[str, str]
    ) -> dict[str, str]:
        """The incident as it is after a write."""
        headers = {"Content-Type": "application/json"}
        request = Request(method, path, operation, params=params, headers=headers, json=dict(fields), writes=True)
        return stored_incident(await http.send(request))

    async def _attach(self, http: Http, sys_id: str, file: Attachment) -> None:
        """Upload the file, unless the incident has one of its name and content."""
        query = f"table_sys_id={sys_id}^file_name={file.name}"
        response = await http.send(
            Request("GET", FILES, "GET /attachment", params={"sysparm_query": query, "sysparm_limit": "50"})
        )
        present = response.parsed(lambda answer: rows_of(answer, "result"))
        digest = hashlib.sha256(file.content).hexdigest()
        if any(_is_copy(row, file, digest) for row in present):
            return
        await http.send(
            Request(
                "POST",
                f"{FILES}/file",
                "POST /attachment/file",
                params={"table_name": "incident", "table_sys_id": sys_id, "file_name": file.name},
                headers={"Content-Type": file.media_type},
                body=file.content,
                writes=True,
            )
        )

    async def _record(self, http: Http, sys_id: str, plan: IncidentPlan) -> dict[str, str] | None:
        request = Request("GET", f"{TABLE}/{quote(sys_id)}", "GET /table/incident/{sys_id}", params=_params(plan))
        response = await http.send(request, accept=frozenset({404}))
        return None if response.status == 404 else stored_incident(response)

    async def _look_up(self, http: Http, key: str, plan: IncidentPlan) -> dict[str, str] | None:
        """The incident with our key; raises `Permanent` where the answer can't tell whether there is one.

        That is an empty list beside a count above nought (a read ACL), and rows without our key (a field ACL on
        `correlation_id`, or an instance that ignored the query).
        """
        params = _params(plan) | {"sysparm_query": f"correlation_id={key}", "sysparm_limit": "2"}
        response = await http.send(Request("GET", TABLE, "GET /table/incident", params=params))
        rows = response.parsed(lambda answer: rows_of(answer, "result"))
        matching = [row for row in rows if row.get("correlation_id") == key]
        if matching:
            return response.parsed(lambda _: as_strings(matching[0]))
        if rows:
            raise Permanent(
                "The incident may exist, but the look-up by correlation_id answered with incidents that don't show it.",
                code="hidden",
                advice="Give the account read access to incident.correlation_id, then `afterword job retry`.",
            )
        if response.headers.get("X-Total-Count", "0").strip() not in ("", "0"):
            raise Permanent(
                "The incident may exist, but the account can't read it (rows are counted and not shown).",
                code="hidden",
                advice="Give the account read access to incident, then `afterword job retry`.",
            )
        return None

    def _receipt(
        self,
        row: Mapping[str, str],
        plan: IncidentPlan,
        change: Literal["created", "updated", "unchanged", "found", "skipped"],
    ) -> Receipt:
        warnings = []
        if plan.expected_priority and row.get("priority") not in (None, "", plan.expected_priority):
            warnings.append(
                f"priority is {row['priority']}, expected {plan.expected_priority}: the instance has rules of its own"
            )
        dropped = [
            name for name, value in plan.fields.items() if name in row and row[name] != value and change != "skipped"
        ]
        missing = [name for name in plan.fields if name not in row and change in ("created", "updated")]
        warnings += [f"{name} was not stored as sent" for name in dropped if name != "assignment_group"]
        warnings += [f"{name} is not a field of this instance, or the account may not write it" for name in missing]
        url = f"{self.settings.instance_url}/nav_to.do?uri=incident.do?sys_id={row['sys_id']}"
        return Receipt(
            id=row["sys_id"], url=url, ticket_number=row.get("number"), change=change, warnings=tuple(warnings)
        )

    def needs(self, command: Command | None, plan: object = None) -> Needs:
        """The incident table, and attachments where the plan has one."""
        return Needs(files=isinstance(plan, IncidentPlan) and plan.attachment is not None)

    async def reach(self, http: Http) -> list[ConnectionStep]:
        """Rows of the table that every job writes to, then whose credential it is."""
        params = {"sysparm_limit": "1", "sysparm_fields": "sys_id"}
        response = await http.send(Request("GET", TABLE, "GET /table/incident", params=params))
        answer = response.json()
        if not isinstance(answer, dict) or not isinstance(answer.get("result"), list):
            words = "the answer is not ServiceNow's; check the instance address"
            return [ConnectionStep(name="read access", ok=False, detail=words)]
        # A client of OAuth, or an API key, may stand for another account than the one that is named beside it.
        told = isinstance(self.settings.auth, Basic | Password | None)
        name = (self.settings.username if told else None) or await self._whose(http)
        return [
            ConnectionStep(name="credential", ok=True, detail=f"accepted as {name}" if name else "accepted"),
            ConnectionStep(name="read access to incident", ok=True, detail="granted"),
        ]

    async def rights(self, http: Http, needs: Needs) -> list[ConnectionStep]:
        """There is no dry run for the right to create; files can at least be listed."""
        steps = [ConnectionStep(name="right to create incidents", ok=None, detail="ServiceNow has no dry run for it")]
        if needs.files:
            request = Request("GET", FILES, "GET /attachment", params={"sysparm_limit": "1"})
            (await http.send(request)).parsed(lambda answer: rows_of(answer, "result"))
            steps.append(ConnectionStep(name="read access to attachments", ok=True, detail="granted"))
        return steps

    async def _whose(self, http: Http) -> str:
        """The user that a token belongs to; empty where it may not ask, or where the instance ignores the question."""
        query = {
            "sysparm_query": "user_name=javascript:gs.getUserName()",
            "sysparm_fields": "user_name",
            "sysparm_limit": "2",
        }
        try:
            response = await http.send(Request("GET", USERS, "GET /table/sys_user", params=query))
            rows = response.parsed(lambda answer: rows_of(answer, "result"))
        except AttemptFailed:
            return ""
        return str(rows[0].get("user_name", "")) if len(rows) == 1 else ""


def links_block(links: tuple[Link, ...]) -> str:
    """Lines for a description's end that lead to the issue's pages; empty without any."""
    return "".join(f"\n{'' if i else chr(10)}{link.title}: {link.url}" for i, link in enumerate(links))


def without_links(description: str) -> str:
    """The description without those lines."""
    return _LINKS.sub("", description)


def _differing(known: Mapping[str, str], plan: IncidentPlan) -> dict[str, str]:
    """The fields that have to be written. Links alone are no reason: they have a follow-up of their own."""
    differs = {name: value for name, value in plan.fields.items() if name in known and known[name] != value}
    present = without_links(known.get("description", ""))
    if present in (plan.unlinked.strip(), without_links(plan.fields["description"])):
        differs.pop("description", None)
    return differs


def _is_copy(row: Mapping[str, Any], file: Attachment, digest: str) -> bool:
    """The instance's hash decides; where it gives none, the size has to."""
    if row.get("file_name") != file.name:
        return False
    return row["hash"] == digest if row.get("hash") else str(row.get("size_bytes")) == str(len(file.content))


def _levels(config: TicketConfig, severity: int | None) -> tuple[int | None, int | None]:
    level = config.severity or severity
    impact, urgency = LEVELS[level] if level else (None, None)
    return config.impact or impact or config.urgency, config.urgency or urgency or config.impact


def _priority(impact: int, urgency: int) -> str:
    """The default rules: impact 1 and urgency 1 make priority 1, each step down one more."""
    return str(impact + urgency - 1)


def _extra(config: TicketConfig) -> dict[str, str]:
    for name in config.fields:
        if not FIELD_NAME.match(name) or name in OURS:
            raise Permanent(
                f"{name!r:.60} can't be set as a field of an incident.",
                code="unknown_field",
                advice="Use the field's plain name (small letters, digits, _), and none that identifies the record.",
            )
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in config.fields.items()
    }


def _params(plan: IncidentPlan) -> dict[str, str]:
    names = dict.fromkeys(["sys_id", "number", "priority", *plan.fields])
    return {"sysparm_fields": ",".join(names), "sysparm_exclude_reference_link": "true"}
