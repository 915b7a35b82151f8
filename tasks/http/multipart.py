"""A form with one file, as it is sent (RFC 7578)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def multipart(name: str, media_type: str, content: bytes, fields: Mapping[str, str]) -> tuple[str, bytes]:
    """The media type and the body. The boundary comes from the content, so that the same file is the same request."""
    boundary = "afterword-" + hashlib.sha256(name.encode("utf-8", "replace") + content).hexdigest()[:32]
    quoted = name.replace("%", "%25").replace('"', "%22") if '"' in name else name
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    )
    rest = "".join(
        f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}'
        for field, value in fields.items()
    )
    tail = f"{rest}\r\n--{boundary}--\r\n"
    body = head.encode("utf-8", "replace") + content + tail.encode("utf-8", "replace")
    return f"multipart/form-data; boundary={boundary}", body
