"""The screening policy of this instance, from the file that the operator names."""

from __future__ import annotations

from config.settings import ConfigError, Settings
from tasks.screening import Policy, policy_in


def screening_policy(settings: Settings) -> Policy:
    """What AFTERWORD_SCREENING_FILE states, the defaults without one; raises `ConfigError` saying what is wrong with it."""
    path = settings.screening_file
    if path is None:
        return Policy()
    try:
        return policy_in(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"AFTERWORD_SCREENING_FILE: {path} can't be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"AFTERWORD_SCREENING_FILE: {path} is no text in UTF-8. Save it so, then start again."
        ) from None
    except ValueError as error:
        raise ConfigError(f"AFTERWORD_SCREENING_FILE: {path}: {error}. Correct it, then start again.") from None
