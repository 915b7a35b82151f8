"""The files that come with a document from a form: its images, under the paths by which its text shows them."""

from __future__ import annotations

import json
import mimetypes
from pathlib import PurePosixPath
from typing import Any

from aiohttp.web_request import FileField

from tasks.errors import Refused
from worker.console.visit import Visit

MOST_FILES = 50
MOST_BYTES = 10_000_000  # of all files of a form together
LONGEST_TEXT = 4_000_000  # bytes of a document
MOST_OF_FORM = MOST_BYTES + 2 * LONGEST_TEXT  # a pasted text is as long again in a form


def attached(visit: Visit) -> list[dict[str, Any]]:
    """The attachments of the document; raises `Refused` for too many and too large ones, naming the limit.

    `paths` (JSON) says as what the text shows each, where a script knows; else it is the file's own name.
    """
    files = [file for file in visit.form.getall("attachment", []) if isinstance(file, FileField) and file.filename]
    if len(files) > MOST_FILES:
        raise Refused(
            f"There are {len(files)} files; {MOST_FILES} may come with a document.",
            code="too_many_files",
            advice="Leave some out.",
        )
    contents = [file.file.read(MOST_BYTES + 1) for file in files]
    if sum(map(len, contents)) > MOST_BYTES:
        raise Refused(
            f"The files are larger than {MOST_BYTES // 1_000_000} MB together.",
            code="too_long",
            advice="Make the images smaller, or leave some out.",
        )
    paths = names_in(visit.said("paths"))
    names = paths if len(paths) == len(files) else [PurePosixPath(file.filename).name for file in files]
    return [
        {
            "name": name,
            "media_type": mimetypes.guess_type(name)[0] or "application/octet-stream",
            "content": content,
        }
        for name, content in zip(names, contents, strict=True)
    ]


def names_in(said: str) -> list[str]:
    """The names in a field that a script filled in; none where it holds anything else."""
    try:
        names = json.loads(said) if said else None
    except (ValueError, RecursionError):
        return []
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []
