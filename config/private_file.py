"""Files with secrets in them: read only where nobody else can."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from config.settings import ConfigError


def read_private(path: Path, what: str) -> str:
    """The text of a file that only its owner may open; `what` names it in errors.

    Raises `FileNotFoundError` where there is none, and `ConfigError` for one that is a link, open to others or unreadable.
    """
    if path.is_symlink():
        raise ConfigError(f"{what} {path} is a symbolic link; name the file itself.")
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{what} {path} can't be read: {words}.") from None
    # systemd lets a service's user read a credential by an ACL, which shows as the group's right to read.
    by_acl = stat.S_IRGRP if str(path.parent) == os.environ.get("CREDENTIALS_DIRECTORY") else 0
    if mode & (stat.S_IRWXG | stat.S_IRWXO) & ~by_acl:
        raise ConfigError(f"{what} {path} is open to others (mode {mode & 0o777:04o}); run `chmod 600 {path}`.")
    return text
