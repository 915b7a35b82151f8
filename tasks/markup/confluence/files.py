"""Files of a page: those handed over with the document, and images that it carries in `data:` addresses."""

from __future__ import annotations

import base64
import binascii
import hashlib
import mimetypes
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from urllib.parse import unquote, unquote_to_bytes

from tasks.markup import clean
from tasks.markup.options import Attachment

NAME_LENGTH = 180
_DATA = re.compile(r"data:(image/[a-z0-9.+-]{1,40})((?:;[a-z0-9=_-]{1,60}){0,4}),", re.IGNORECASE)
_NOT_IN_NAME = re.compile(r"[\\/:*?\"<>|#%&{}$!'@+`=\s]+")
_ENDINGS = {"image/jpeg": "jpg", "image/svg+xml": "svg", "image/x-icon": "ico", "image/vnd.microsoft.icon": "ico"}


class Files:
    """Finds the attachment that an address means; collects what has to be uploaded."""

    def __init__(self, handed_over: Mapping[str, bytes]) -> None:
        self._names: dict[str, str] = {}
        self._by_last_part: dict[str, list[str]] = {}
        self.attachments: dict[str, Attachment] = {}
        for path, content in handed_over.items():
            name = self._add(_safe(PurePosixPath(_normal(path)).name), _type(path), content)
            self._names[_normal(path)] = name
            self._by_last_part.setdefault(PurePosixPath(_normal(path)).name, []).append(name)

    def named(self, address: str) -> str | None:
        """The attachment that a relative address means: by its whole path, else by its last part where only one fits."""
        path = _normal(unquote(re.split(r"[?#]", address, maxsplit=1)[0]))
        if path in self._names:
            return self._names[path]
        same = set(self._by_last_part.get(PurePosixPath(path).name, ()))
        return same.pop() if len(same) == 1 else None

    def embedded(self, address: str) -> str | None:
        """The attachment made of a `data:` image; None where it isn't one."""
        found = _DATA.match(address)
        if found is None:
            return None
        media_type, rest = found.group(1).lower(), address[found.end() :]
        try:
            raw = unquote_to_bytes(rest)
            base = ";base64" in found.group(2).lower()
            content = base64.b64decode(re.sub(rb"\s+", b"", raw), validate=True) if base else raw
        except (binascii.Error, ValueError):
            return None
        if not content:
            return None
        ending = _ENDINGS.get(media_type, media_type.partition("/")[2].partition("+")[0])
        digest = hashlib.sha256(content).hexdigest()[:12]
        return self._add(f"image-{digest}.{ending}", media_type, content)

    def _add(self, name: str, media_type: str, content: bytes) -> str:
        present = self.attachments.get(name)
        if present is not None and present.content != content:
            stem, dot, ending = name.rpartition(".")
            digest = hashlib.sha256(content).hexdigest()[:12]
            name = f"{stem}-{digest}.{ending}" if dot else f"{name}-{digest}"
        self.attachments.setdefault(name, Attachment(name=name, media_type=media_type, content=content))
        return name


@lru_cache(maxsize=1)
def _types() -> mimetypes.MimeTypes:
    return mimetypes.MimeTypes()


def _type(path: str) -> str:
    return _types().guess_type(path)[0] or "application/octet-stream"


def _normal(path: str) -> str:
    """A path without `./`, `..` and a leading slash, as files are matched."""
    parts: list[str] = []
    for part in path.replace("\\", "/").split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", ".", ".."):
            parts.append(part)
    return "/".join(parts)


def _safe(name: str) -> str:
    """A file's name without what Confluence refuses in one."""
    safe = _NOT_IN_NAME.sub("-", clean.plain_title(name, 4000)).strip("-. ") or "file"
    stem, dot, ending = safe.rpartition(".")
    return f"{stem[: NAME_LENGTH - len(ending)]}.{ending[:20]}" if dot else safe[:NAME_LENGTH]
