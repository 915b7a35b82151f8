"""The faults in force."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from worker.sandbox.faults.spec import Fault, FaultSpec, fault_named
from worker.sandbox.store import Store

Sleep = Callable[[float], Awaitable[None]]


class Faults:
    """The faults in force. `sleep` waits a number of seconds."""

    def __init__(self, store: Store, sleep: Sleep = asyncio.sleep) -> None:
        self.store = store
        self.sleep = sleep
        self.active: list[Fault] = []

    def add(self, given: Any) -> Fault:
        """Put a fault in force; raises `ValueError` for one that isn't understood."""
        spec = FaultSpec.model_validate(given)
        fault = Fault(spec, random.Random(spec.seed))  # noqa: S311 - a share to fail, repeatable by its seed
        if spec.fault == "wiql_blind":
            self.store.blind_until = self.store.clock() + spec.seconds
        elif spec.fault == "wiql_lag":
            self.store.index_lag_s = spec.seconds
        elif spec.fault == "jql_blind":
            self.store.jql_blind_until = self.store.clock() + spec.seconds
        elif spec.fault == "jql_lag":
            self.store.jql_lag_s = spec.seconds
        elif spec.fault == "page_404":
            self.store.unseen_s = spec.seconds
        elif spec.fault == "no_version_message":
            self.store.drops_messages = True
        else:
            self.active.append(fault)
        return fault

    def for_one(self, text: str) -> Fault | None:
        """The fault that a request brings for itself, by its name or as JSON; None for one that concerns what is held, which is in
        force from then on. Raises `ValueError` for one that isn't understood.
        """
        before = len(self.active)
        self.add(fault_named(text))
        return self.active.pop() if len(self.active) > before else None

    def clear(self) -> None:
        """End all faults."""
        self.active.clear()
        self.store.blind_until = self.store.index_lag_s = self.store.unseen_s = 0.0
        self.store.jql_blind_until = self.store.jql_lag_s = 0.0
        self.store.drops_messages = False

    def listed(self) -> list[dict[str, Any]]:
        """The faults in force, and how often they still strike."""
        rows = [
            fault.spec.model_dump() | {"left": fault.left, "met": fault.met} for fault in self.active if fault.left != 0
        ]
        if self.store.clock() < self.store.blind_until:
            rows.append({"fault": "wiql_blind", "vendor": "azure_devops", "until": self.store.blind_until})
        if self.store.index_lag_s:
            rows.append({"fault": "wiql_lag", "vendor": "azure_devops", "seconds": self.store.index_lag_s})
        if self.store.clock() < self.store.jql_blind_until:
            rows.append({"fault": "jql_blind", "vendor": "jira", "until": self.store.jql_blind_until})
        if self.store.jql_lag_s:
            rows.append({"fault": "jql_lag", "vendor": "jira", "seconds": self.store.jql_lag_s})
        if self.store.unseen_s:
            rows.append({"fault": "page_404", "vendor": "confluence", "seconds": self.store.unseen_s})
        if self.store.drops_messages:
            rows.append({"fault": "no_version_message", "vendor": "confluence"})
        return rows
