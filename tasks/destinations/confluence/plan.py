"""What is to become of a page: its content ready to be sent, and what the operator decided for conflicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from tasks.destinations.confluence.access import Access
from tasks.destinations.confluence.api import Page
from tasks.destinations.confluence.mark import Mark
from tasks.model import Frozen

TITLE_LENGTH = 255


class FileToUpload(Frozen):
    """A file of the page. `sha` is its content's SHA-256."""

    name: str
    media_type: str
    content: bytes
    sha: str

    @property
    def comment(self) -> str:
        """What the upload says of it, by which the next attempt knows it."""
        return f"Afterword sha256:{self.sha[:32]}"


class PagePlan(Frozen):
    """A page ready to be sent. `digest` covers title and body without upstream's footer, which changes each time.

    `access` is who may read and edit it, whose it is, and its status. Its parent is named by `parent_id`, or by the path `parent_titles`, or not at all.
    """

    title: str
    body: str
    digest: str
    parent_id: str | None = None
    parent_titles: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    files: tuple[FileToUpload, ...] = ()
    appearance: Mapping[str, str] = Field(default_factory=dict)
    access: Access = Access()
    warnings: tuple[str, ...] = ()


class Policy(Frozen):
    """What the operator decided for a destination."""

    on_drift: Literal["keep", "overwrite", "hold"] = "hold"
    on_title_conflict: Literal["refuse", "adopt", "number"] = "refuse"
    minor_edit: bool = False
    cross_links: bool = True
    missing_parents: Literal["pages", "folders"] = "pages"


@dataclass(frozen=True)
class Found:
    """A page that is there, with our property where it has one."""

    page: Page
    mark: Mark | None
    mark_version: int | None
