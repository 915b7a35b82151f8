"""Field types of the API whose JSON Schema says exactly what is taken, so that a client can check before it sends."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from tasks.model import DestinationName, ParentPage

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"({_OCTET}\.){{3}}{_OCTET}/(3[0-2]|[12]?[0-9])"
_IPV6 = "(([0-9a-fA-F]{1,4}:){1,7}:|::[0-9a-fA-F]{0,4})/(12[0-8]|1[01][0-9]|[1-9]?[0-9])"
_DAY = (
    "([12][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    "|[12][0-9](0[48]|[2468][048]|[13579][26])-02-29|2000-02-29)"
)
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{3}|\.[0-9]{6})?)?"
_ZONE = r"(Z| UTC|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?"
_LEVEL = "(" + "|".join(
    "".join(f"[{letter.upper()}{letter}]" for letter in word)
    for word in ("critical", "high", "major", "medium", "moderate", "low", "minor", "planning", "info", "informational")
)
_SEVERITY = rf"^(([Pp]|[Ss][Ee][Vv][- ]?)?[1-5]( ?-[^\r\n]*)?|{_LEVEL})|)$"

Cidr = Annotated[str, StringConstraints(pattern=f"^({_IPV4}|{_IPV6})$")]
Line = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
Milliseconds = Annotated[int, Field(ge=0, le=253_402_300_799_999, description="Milliseconds since 1970 (UTC)")]
TimeText = Annotated[
    str, StringConstraints(pattern=f"^({_DAY}[ T]{_CLOCK}{_ZONE})?$"), Field(description="YYYY-MM-DD HH:MM:SS in UTC")
]
Rfc3339 = Annotated[
    str,
    StringConstraints(pattern=rf"^{_DAY}T{_CLOCK}(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"),
    Field(description="RFC 3339, such as 2026-11-28T14:00:00Z"),
]
DayOrNothing = Annotated[str, StringConstraints(pattern=rf"^({_DAY}([+-]([01][0-9]|2[0-3]):[0-5][0-9])?)?$")]
ApiMoment = Milliseconds | TimeText | None
ApiSeverity = (
    Literal[1, 2, 3, 4, 5]
    | Annotated[
        str, StringConstraints(pattern=_SEVERITY), Field(description="P1 … P5, or critical, high, medium, low, info")
    ]
    | None
)
Secret = Annotated[
    SecretStr,
    Field(
        min_length=1,
        max_length=8192,
        json_schema_extra={"pattern": r"^[!-~]([ -~]*[!-~])?$"},
        description="Token, password or PAT. Stored encrypted and never returned.",
    ),
]
Destination = DestinationName
IdentifierOrNone = Annotated[  # upstream leaves a field empty where it has nothing to say
    str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
PageId = ParentPage | Annotated[int, Field(ge=0, lt=10**20)]
FileName = Annotated[
    str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^/\x00-\x1f\x7f\\][^\x00-\x1f\x7f\\]*$")
]
MediaType = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,100}$")]
Base64Text = Annotated[
    str,
    StringConstraints(pattern="^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"),
    Field(description="RFC 4648"),
]
StreamId = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,15}(-[0-9]{1,15})?$")]
Cursor = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[A-Za-z0-9_.-]+$")]
