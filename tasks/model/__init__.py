"""The shapes that cross a boundary: what producers send, what a job is, what a delivery yields.

All are frozen and refuse unknown fields, but for upstream's own documents and issues, whose extra fields are
ignored so that a newer upstream keeps working.
"""

from __future__ import annotations

from tasks.model.commands import (
    KIND_OF_COMMAND,
    Command,
    CommandName,
    CreateAzureDevOpsWorkItem,
    CreateJiraIssue,
    CreateServiceNowIncident,
    ProjectKey,
    PublishToConfluence,
    TicketConfig,
    content_id,
    explain,
    field_names,
    parse_command,
    with_fields,
)
from tasks.model.content import (
    DestinationName,
    Document,
    DocumentFile,
    Frozen,
    Identifier,
    Issue,
    Severity,
    Upstream,
    parse_severity,
)
from tasks.model.jobs import (
    PAGE_TITLES,
    TERMINAL,
    Callback,
    ConnectionReport,
    ConnectionStep,
    Finding,
    Job,
    JobState,
    LastError,
    Link,
    Receipt,
    subject_key,
)

__all__ = [
    "KIND_OF_COMMAND",
    "PAGE_TITLES",
    "TERMINAL",
    "Callback",
    "Command",
    "CommandName",
    "ConnectionReport",
    "ConnectionStep",
    "CreateAzureDevOpsWorkItem",
    "CreateJiraIssue",
    "CreateServiceNowIncident",
    "DestinationName",
    "Document",
    "DocumentFile",
    "Finding",
    "Frozen",
    "Identifier",
    "Issue",
    "Job",
    "JobState",
    "LastError",
    "Link",
    "ProjectKey",
    "PublishToConfluence",
    "Receipt",
    "Severity",
    "TicketConfig",
    "Upstream",
    "content_id",
    "explain",
    "field_names",
    "parse_command",
    "parse_severity",
    "subject_key",
    "with_fields",
]
