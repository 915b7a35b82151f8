"""Why nobody was signed in, for a person."""

from __future__ import annotations

from tasks.errors import Refused


class SignInRefused(Refused):
    """A sign-in that came to nothing. `code` is for log and audit; `status` is that of the page which says it."""

    def __init__(self, message: str, *, code: str, advice: str = "", status: int = 403) -> None:
        super().__init__(message, code=code, advice=advice)
        self.status = status
