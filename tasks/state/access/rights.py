"""What an API key may do, and for how long. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from tasks.model import Frozen


class Scope(StrEnum):
    """What a key may do. `admin` holds every other, `operate` holds `read`."""

    SUBMIT = "submit"
    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"


ROLES: Mapping[str, tuple[Scope, ...]] = {  # what people call a set of scopes, from the least to the most
    "viewer": (Scope.READ,),
    "producer": (Scope.SUBMIT, Scope.READ),
    "operator": (Scope.SUBMIT, Scope.READ, Scope.OPERATE),
    "admin": tuple(Scope),
}


def holds(scopes: Iterable[Scope], scope: Scope) -> bool:
    """Whether these scopes hold that one, by itself or through a wider one."""
    wider = {Scope.ADMIN} | ({Scope.OPERATE} if scope is Scope.READ else set())
    return bool({scope, *wider} & set(scopes))


class ApiKey(Frozen):
    """A key without its secret. Times are epoch milliseconds; `last_used_ms` is at most a minute old."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_ms: int
    expires_ms: int | None = None
    last_used_ms: int | None = None
    revoked: bool = False
    changed: bool = False

    def is_over(self, now_ms: int) -> bool:
        """Whether the key has expired by then (epoch milliseconds)."""
        return self.expires_ms is not None and self.expires_ms <= now_ms

    def may(self, scope: Scope) -> bool:
        """Whether the key holds this scope, by itself or through a wider one; one that was changed in Redis holds none."""
        if self.changed:
            return False
        return holds(self.scopes, scope)
