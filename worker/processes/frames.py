"""What goes through the pipes between a worker and its processes: pickled values, each behind its length."""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

LENGTH = struct.Struct(">Q")


@dataclass(frozen=True)
class Answer:
    """How a call ended: its `value`, the `error` of ours that it raised, or the place of a `fault`, without its words."""

    value: Any = None
    error: Exception | None = None
    fault: str = ""


def framed(value: object) -> bytes:
    """The value as it goes through a pipe."""
    content = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(content)) + content


def read(stream: BinaryIO) -> Any:
    """The next value of a pipe; raises `EOFError` at its end."""
    return pickle.loads(_exactly(stream, LENGTH.unpack(_exactly(stream, LENGTH.size))[0]))  # noqa: S301 - our own pipe


def _exactly(stream: BinaryIO, length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content
