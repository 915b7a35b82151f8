"""The forms of Settings → Destinations: the fields of each kind, and how a filled-in form becomes settings."""

from __future__ import annotations

from typing import Any

from tasks.destinations import AnySettings, parse_settings
from tasks.destinations.confluence import rows
from tasks.model import Frozen
from tasks.state.directory import DestinationRecord
from worker.console.credential_forms import auth_given, auth_values

WAY = ("reached", "TLS", "vendor", "credential")  # the steps of every test


class Field(Frozen):
    """One field: its setting's name, its label, an example, and what to know."""

    name: str
    label: str
    example: str = ""
    hint: str = ""
    type: str = "text"
    required: bool = True
    choices: tuple[tuple[str, str], ...] = ()


class Kind(Frozen):
    """One kind of destination: what it is for, its fields, and what its connection test looks at, in order. A step may be
    named by the beginning of its name.
    """

    name: str
    purpose: str
    secret: str
    secret_hint: str
    fields: tuple[Field, ...]
    steps: tuple[str, ...]


FLAVORS = (("cloud", "Cloud"), ("datacenter", "Data Center"))
CONFLUENCE = Kind(
    name="confluence",
    purpose="Publishes RCA and post-mortem documents as pages of a space.",
    secret="API token",
    secret_hint="Cloud: made at id.atlassian.com. Data Center: a personal access token, or the password of the user named above.",
    fields=(
        Field(name="base_url", label="Base URL", example="https://example.atlassian.net", type="url"),
        Field(
            name="email",
            label="Email",
            example="bot@example.com",
            hint="Data Center: a user name, for a password.",
            required=False,
        ),
        Field(
            name="space",
            label="Space key",
            example="OPS",
            hint="The connection test checks this space.",
            required=False,
        ),
        Field(name="flavor", label="Edition", choices=FLAVORS),
        Field(
            name="parent",
            label="Parent page",
            example="Post-mortems/{document.year}",
            hint="In that space, for jobs that name none: a page's number, or a path of titles. Missing pages are created.",
            required=False,
        ),
        Field(name="title_pattern", label="Title pattern", example="{document.title} ({issue.id})", required=False),
        Field(name="header", label="Header", hint="Markdown above each document.", type="lines", required=False),
        Field(name="footer", label="Footer", hint="Markdown below each document.", type="lines", required=False),
        Field(
            name="properties",
            label="Properties",
            example="Incident={issue.id}",
            hint="Rows of a table above each document, one a line.",
            type="lines",
            required=False,
        ),
        Field(
            name="readers",
            label="Readers",
            example="group:incident-team, Beth Anglin",
            hint="Who may read the pages; with commas between. Empty: who may read the space.",
            required=False,
        ),
        Field(
            name="editors",
            label="Editors",
            example="group:incident-team",
            hint="Who may edit the pages. Empty: who may edit in the space.",
            required=False,
        ),
        Field(name="owner", label="Owner", hint="A person, for Cloud.", required=False),
        Field(name="page_status", label="Page status", example="Ready for review", hint="For Cloud.", required=False),
    ),
    steps=(*WAY, "space", "right to create pages"),
)
MAPPING = Field(
    name="mapping",
    label="Mapping",
    example='assignment_group = "Service Desk"',
    hint="TOML: defaults, fields and rules for tickets.",
    type="lines",
    required=False,
)
SERVICENOW = Kind(
    name="servicenow",
    purpose="Creates incidents from issues. Severity is mapped to impact and urgency.",
    secret="Password",
    secret_hint="Of an account that may read and create incidents.",
    fields=(
        Field(name="instance_url", label="Instance URL", example="https://example.service-now.com", type="url"),
        Field(name="username", label="Username", example="afterword.bot", required=False),
        Field(
            name="table",
            label="Table",
            example="incident",
            hint="Or another that extends task, such as problem or change_request.",
            required=False,
        ),
        MAPPING,
    ),
    steps=(*WAY, "read access", "right to create"),
)
AZURE_DEVOPS = Kind(
    name="azure_devops",
    purpose="Creates work items of a project from issues.",
    secret="Personal access token",
    secret_hint="With the scope Work Items (read and write).",
    fields=(
        Field(name="org_url", label="Organization URL", example="https://dev.azure.com/example", type="url"),
        Field(name="project", label="Project", example="Operations", required=False),
        Field(name="work_item_type", label="Work item type", example="Bug"),
        MAPPING.model_copy(update={"example": 'area = "Payments"'}),
    ),
    steps=(*WAY, "project", "work item type", "right to create work items"),
)
JIRA = Kind(
    name="jira",
    purpose="Creates issues of a project from issues. Severity is mapped to priority.",
    secret="API token",
    secret_hint="Cloud: made at id.atlassian.com. Data Center: a personal access token, or the password of the user named above.",
    fields=(
        Field(name="base_url", label="Base URL", example="https://example.atlassian.net", type="url"),
        Field(
            name="email",
            label="Email",
            example="bot@example.com",
            hint="Data Center: a user name, for a password.",
            required=False,
        ),
        Field(name="project", label="Project key", example="OPS", required=False),
        Field(
            name="issue_type",
            label="Issue type",
            example="Bug",
            hint="Where it is left out: Bug, else Task.",
            required=False,
        ),
        Field(name="flavor", label="Edition", choices=FLAVORS),
        MAPPING.model_copy(update={"example": 'components = "Checkout"'}),
    ),
    steps=("credential", "project", "right to see issues", "right to create issues", "issue type"),
)
KINDS = {kind.name: kind for kind in (CONFLUENCE, SERVICENOW, AZURE_DEVOPS, JIRA)}
DEFAULTS = {"flavor": "cloud", "work_item_type": "Bug"}


NETWORK = (
    Field(
        name="proxy_url",
        label="Proxy",
        example="http://proxy.example:3128",
        hint="All requests go through it. Its own address has to be public or permitted above.",
    ),
    Field(name="proxy_username", label="User name at the proxy", hint="Where the proxy asks for a login."),
    Field(
        name="connect_to",
        label="Connect to",
        hint="Another host or address than the address's own; TLS still verifies that.",
    ),
    Field(
        name="ca_file",
        label="Certificate authorities",
        example="/etc/afterword/ca.pem",
        hint="A PEM file on every worker and API server, trusted besides the public ones.",
    ),
    Field(name="client_cert_file", label="Client certificate", hint="A PEM file on every worker and API server."),
    Field(name="client_key_file", label="Its key", hint="PEM, without a passphrase."),
)


def values_of(record: DestinationRecord) -> dict[str, str]:
    """What the form of a stored destination shows. The secret is not among it and never leaves the vault."""
    settings = record.settings.model_dump(mode="json", exclude_none=True)
    given = {field.name: _shown(settings.get(field.name, "")) for field in KINDS[record.settings.kind].fields}
    given |= {field.name: str(settings.get(field.name, "")) for field in NETWORK}
    return (
        given
        | auth_values(record.settings)
        | {
            "name": record.name,
            "allow_http": "on" if record.settings.allow_http else "",
            "allow_private": ", ".join(record.settings.allow_private),
        }
    )


def _shown(value: object) -> str:
    """A setting as its field shows it: rows of a table are lines, a list has commas between."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return rows.written(value) if isinstance(value, dict) else str(value)


def settings_from(kind: Kind, values: dict[str, str], before: DestinationRecord | None) -> AnySettings:
    """The settings that a form means; those it doesn't show stay as they were. Raises `Refused` naming each bad field."""
    kept: dict[str, Any] = before.settings.model_dump(mode="json", exclude_none=True) if before else {}
    given: dict[str, Any] = {field.name: values.get(field.name) or None for field in (*kind.fields, *NETWORK)}
    text = kept.pop("mapping", "")
    if _lines(given.get("mapping") or "") != _lines(text):
        text = ""
    else:  # it was taken once, and is no reason to refuse another change
        given["mapping"] = None
    blocks = tuple(block for block in values.get("allow_private", "").replace(",", " ").split() if block)
    given |= {"kind": kind.name, "allow_http": bool(values.get("allow_http")), "allow_private": blocks}
    settings = parse_settings(kept | given | auth_given(values))
    return settings.model_copy(update={"mapping": text}) if text else settings


def _lines(text: str) -> list[str]:
    """A text as a form gives it back: with other ends of lines, and without blanks around it."""
    return text.strip().splitlines()
