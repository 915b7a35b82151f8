"""The destinations by kind. docs/adding-a-destination.md says how to add one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from tasks.credentials.kinds import Renewable
from tasks.destinations.azure_devops.settings import AzureDevOpsSettings
from tasks.destinations.confluence.settings import ConfluenceSettings
from tasks.destinations.jira.settings import JiraSettings
from tasks.destinations.servicenow.settings import ServiceNowSettings
from tasks.destinations.settings import DestinationSettings
from tasks.destinations.tickets.mapping import BadMapping, read
from tasks.destinations.tickets.settings import TicketSettings
from tasks.errors import Refused
from tasks.http.origin import Origin
from tasks.model import explain

if TYPE_CHECKING:
    from tasks.destinations.contract import Destination

AnySettings = Annotated[
    ConfluenceSettings | ServiceNowSettings | AzureDevOpsSettings | JiraSettings, Field(discriminator="kind")
]
_MODELS: Mapping[str, type[DestinationSettings]] = {
    model.model_fields["kind"].default: model for model in get_args(get_args(AnySettings)[0])
}
KINDS = tuple(_MODELS)
SETTINGS: TypeAdapter[ConfluenceSettings | ServiceNowSettings | AzureDevOpsSettings | JiraSettings] = TypeAdapter(
    AnySettings, config=ConfigDict(defer_build=True)
)

__all__ = [
    "KINDS",
    "AnySettings",
    "check_settings",
    "destination_for",
    "parse_settings",
    "wrong_in_mapping",
]


def parse_settings(data: Mapping[str, object], *, stored: bool = False) -> AnySettings:
    """The settings in `data`; raises `Refused` naming each bad field.

    Stored ones may be of a newer version: what they have besides is ignored.
    """
    present = {key: value for key, value in data.items() if value is not None}
    try:
        return SETTINGS.validate_python(present, extra="ignore" if stored else None, context={"stored": stored})
    except ValidationError as error:
        raise Refused(
            f"These destination settings are not valid: {explain(error)}.",
            code="bad_settings",
            advice=_known(error, str(present.get("kind"))),
        ) from None


def _known(error: ValidationError, kind: str) -> str:
    """What to do about it; where a setting isn't known, which ones are."""
    unknown = any(row["type"] == "extra_forbidden" for row in error.errors(include_url=False, include_input=False))
    model = _MODELS.get(kind)
    if not unknown or model is None:
        return "Correct them."
    names = ", ".join(sorted(name for name in model.model_fields if name != "kind"))
    return f"A destination of kind {kind} has these settings: {names}."


def wrong_in_mapping(kind: str, text: str) -> str:
    """What can't be read in a mapping of that kind of destination, or can never hold, with its line; empty where nothing is."""
    model = _MODELS[kind]
    try:
        if issubclass(model, TicketSettings):
            read(text, model.keys)
    except BadMapping as error:
        return str(error)
    return ""


def check_settings(settings: AnySettings) -> None:
    """Raise `Refused` for a plain http address, also of the token endpoint, that the operator didn't
    permit, and for a way to log in that lacks something: no request would ever be made.
    """
    if lacks := settings.login_lacks:
        raise Refused(f"The way to log in is incomplete: {lacks}.", code="incomplete_login", advice="Add it.")
    asked = [settings.endpoints.token_url] if isinstance(settings.auth, Renewable) else []
    _check_http(settings.origin, "The address")
    for url in asked:
        _check_http(settings.beside(url), "The token endpoint's address")


def _check_http(origin: Origin, what: str) -> None:
    if origin.base_url.startswith("http:") and not origin.allow_http:
        raise Refused(
            f"{what} is plain http: the credential would cross the network in the clear.",
            code="http_refused",
            advice="Write https://, or permit http for this host: `--allow-http`, `allow_http` in the API, the tick under Advanced in the console.",
        )


def destination_for(settings: AnySettings) -> Destination[Any]:
    """The destination that these settings describe."""
    # A kind's code, with its renderer and parser, is loaded by who works with one: a list of jobs needs none.
    match settings:
        case ConfluenceSettings():
            from tasks.destinations.confluence.destination import Confluence

            return Confluence(settings)
        case ServiceNowSettings():
            from tasks.destinations.servicenow.destination import ServiceNow

            return ServiceNow(settings)
        case AzureDevOpsSettings():
            from tasks.destinations.azure_devops.destination import AzureDevOps

            return AzureDevOps(settings)
        case JiraSettings():
            from tasks.destinations.jira.destination import Jira

            return Jira(settings)
