"""Documents and issues as producers put them, sealed at rest under their own keys."""

from __future__ import annotations

from typing import Any, Literal

from redis.asyncio import Redis

from tasks.errors import Refused
from tasks.model import Command, Document, Issue, PublishToConfluence
from tasks.model.content import is_seen
from tasks.state.audit.entries import Event
from tasks.state.journal import Journal
from tasks.state.vault import Vault


class Contents:
    """The newest version of each document and issue, by id."""

    def __init__(self, redis: Redis, journal: Journal, vault: Vault) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._journal = journal
        self._vault = vault
        self._prefix = journal.prefix

    def sealed(self, document: Document | None, issue: Issue | None) -> dict[str, str]:
        """The records to store, by key, for a submission that brings its content along.

        Raises `Refused` for a document without a text, by which a page would be replaced by nothing.
        """
        records = {}
        if document:
            if not is_seen(document.content_md):
                raise Refused(
                    f"Document {document.id} holds no text; the page would be replaced by nothing.",
                    code="empty_document",
                    advice="Put the text into `content_md`, or give a Markdown file that isn't empty.",
                )
            records[f"document:{document.id}"] = self._seal("document", document)
        if issue:
            records[f"issue:{issue.id}"] = self._seal("issue", issue)
        return records

    async def put_document(self, document: Document, actor: str) -> None:
        """Store a document, replacing the earlier one of that id."""
        args = {"set": self.sealed(document, None)}
        await self._journal.commit("lua/record", args, Event.DOCUMENT_PUT, document=document.id, actor=actor)

    async def put_issue(self, issue: Issue, actor: str) -> None:
        """Store an issue, replacing the earlier one of that id."""
        await self._journal.commit(
            "lua/record", {"set": self.sealed(None, issue)}, Event.ISSUE_PUT, issue=issue.id, actor=actor
        )

    async def about(self, command: Command) -> Document | Issue | None:
        """What a command is about, as it is stored now; raises `KeyTrouble`."""
        if isinstance(command, PublishToConfluence):
            return await self.document(command.doc_id)
        return await self.issue(command.issue_id)

    async def document(self, document_id: str) -> Document | None:
        """The document of that id, or None where it is not stored."""
        return self.opened_document(
            document_id, await self._journal.reads.get(f"{self._prefix}:document:{document_id}")
        )

    async def issue(self, issue_id: str) -> Issue | None:
        """The issue of that id, or None where it is not stored."""
        return self.opened_issue(issue_id, await self._journal.reads.get(f"{self._prefix}:issue:{issue_id}"))

    async def issue_beside(self, document: Document | None, *, wanted: bool) -> Issue | None:
        """The issue that a document is about, where it is wanted, named and stored; raises `KeyTrouble`."""
        named = document.issue_id if document and wanted else None
        return await self.issue(named) if named else None

    def opened_document(self, document_id: str, record: bytes | None) -> Document | None:
        """The document of that id from its record as stored; raises `KeyTrouble`."""
        text = None if record is None else self._open("document", document_id, record)
        return None if text is None else Document.model_validate_json(text, extra="ignore")

    def opened_issue(self, issue_id: str, record: bytes | None) -> Issue | None:
        """The issue of that id from its record as stored; raises `KeyTrouble`."""
        text = None if record is None else self._open("issue", issue_id, record)
        return None if text is None else Issue.model_validate_json(text, extra="ignore")

    async def length(self, kind: Literal["document", "issue"], identifier: str) -> int:
        """How many bytes the stored record has; 0 where there is none."""
        return int(await self._redis.strlen(f"{self._prefix}:{kind}:{identifier}"))

    def _seal(self, purpose: str, content: Document | Issue) -> str:
        return self._vault.seal(content.model_dump_json(), purpose=purpose, owner=content.id)

    def _open(self, purpose: str, owner: str, record: bytes) -> str:
        return self._vault.open(record, purpose=purpose, owner=owner)
