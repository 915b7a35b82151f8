"""What the lifecycle works with: handed in once by the composition root, so that nothing here opens anything by itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from tasks.http.origin import Origin
from tasks.state.contents import Contents
from tasks.state.followups.links import Links
from tasks.state.jobs.followed import Followed
from tasks.state.jobs.ledger import Ledger
from tasks.state.vault import Vault
from tasks.tracing import Tracing, Untraced

if TYPE_CHECKING:
    from tasks.http.authorization import Authorization
    from tasks.http.exchange import Http, Recorder
    from tasks.http.verdict import Judge
    from tasks.screening import Policy
    from tasks.state.directory import Directory
    from tasks.state.grants.grants import Grants

P = ParamSpec("P")
T = TypeVar("T")


class Remote(Protocol):
    """Whom requests go to: a destination, or a server that it depends on."""

    @property
    def origin(self) -> Origin:
        """Where requests go."""
        ...

    @property
    def total_timeout_s(self) -> float:
        """The bound of one exchange."""
        ...

    @property
    def judge(self) -> Judge:
        """Whose trouble an answer tells of."""
        ...


class OpenHttp(Protocol):
    """Opens the guarded client of a destination: keep-alive sessions belong to the process, recorders to an attempt."""

    def __call__(
        self, remote: Remote, authorization: Authorization, recorder: Recorder
    ) -> AbstractAsyncContextManager[Http]:
        """A client for the time of one attempt."""
        ...


class Processes(Protocol):
    """Works on texts without keeping anything else waiting: short ones here, long ones in processes that can be ended."""

    @property
    def longest_s(self) -> float:
        """The longest time until `run` returns or raises, in seconds."""
        ...

    async def run(self, size: int, step: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """The result of a pure, picklable step over texts of that size, in characters and bytes.

        Raises what the step raises, `Held` where it takes too long or ends the process, and `Throttled` where there is
        no room for it.
        """
        ...


@dataclass(frozen=True)
class Services:
    """What the lifecycle works with. Clock in epoch milliseconds, chance in [0, 1).

    `alive` is False while others must take this worker for dead: then it sends nothing. With `look_first` the remote side
    may hold objects of which the ledger knows nothing. What knows each kind's settings is opened, and loaded, at its first use.
    """

    ledger: Ledger
    contents: Contents
    links: Links
    followed: Followed
    vault: Vault
    open_http: OpenHttp
    policy: Policy
    worker: str
    processes: Processes
    open_directory: Callable[[], Directory]
    open_grants: Callable[[], Grants]
    clock_ms: Callable[[], int]
    chance: Callable[[], float]
    alive: Callable[[], bool] = lambda: True
    tracing: Tracing = field(default_factory=Untraced)
    look_first: bool = False

    @cached_property
    def directory(self) -> Directory:
        """Destinations."""
        return self.open_directory()

    @cached_property
    def grants(self) -> Grants:
        """What logins and token endpoints granted."""
        return self.open_grants()
