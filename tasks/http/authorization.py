"""What a request is authorized by: headers that stay as they are, or some that can be made anew when they are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tasks.errors import AttemptFailed
from tasks.http.origin import Origin


class Authorization(Protocol):
    """Carries a credential. `secrets` are what no answer may show besides the headers; `origin` is where the credential
    works, where that isn't the destination's own address.
    """

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that carry the credential, as of now."""
        ...

    @property
    def secrets(self) -> tuple[str, ...]:
        """Whatever else is secret about it."""
        ...

    @property
    def proxy_password(self) -> str:
        """The password at the destination's proxy; empty where it has none."""
        ...

    @property
    def origin(self) -> Origin | None:
        """Where it works; None for the destination's own address."""
        ...

    async def renew(self, refused: AttemptFailed) -> bool:
        """Make it anew after this refusal; True where another try may pass. Raises what stands in the way."""
        ...


@dataclass(frozen=True)
class Fixed:
    """A credential that is what it is."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    origin: Origin | None = None
    proxy_password: str = field(default="", repr=False)

    async def renew(self, _: AttemptFailed) -> bool:
        """It can't be."""
        return False
