"""Settings from the environment (`AFTERWORD_*`) and, for a running `afterword up`, from its data folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

INSTANCE_FILE = "instance.json"
OTHERS = frozenset({"AFTERWORD_SHARED", "AFTERWORD_REDIS_PASSWORD"})  # read by the tests and by docker-compose.yml


class ConfigError(Exception):
    """A setting or key that can't be used; the text says which and what to do."""


class Settings(BaseSettings):
    """Every setting of Afterword. Durations carry their unit in the name."""

    model_config = SettingsConfigDict(
        env_prefix="AFTERWORD_", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    redis_url: str | None = Field(default=None, description="Redis >= 6.2 or Valkey that holds ledger and audit")
    broker_url: str | None = Field(default=None, description="Celery's broker; the ledger's Redis where unset")
    data: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("afterword")),
        description="folder of `afterword up`: embedded Valkey, key file, connection details",
    )
    keys_file: Path | None = Field(
        default=None, description="key file (mode 0600), one Fernet key a line, newest first"
    )
    keys: SecretStr | None = Field(default=None, description="the keys themselves, comma-separated; a file is safer")
    concurrency: int = Field(default=32, ge=1, le=500, description="attempts that one worker runs at once")
    prefix: str = Field(default="afterword", pattern=r"^[a-z][a-z0-9-]{0,30}$", description="prefix of all Redis keys")
    result_ttl_s: int = Field(default=7 * 24 * 3600, ge=60, description="how long Celery results are kept")
    sweep_interval_s: float = Field(default=1.0, gt=0, description="longest pause between two looks at what is due")
    heartbeat_ttl_s: float = Field(default=6.0, gt=0, description="a worker silent for this long is taken for dead")
    resend_after_s: float = Field(default=10.0, gt=0, description="a wake-up not answered by then is sent again")
    drain_s: float = Field(default=25.0, ge=0, description="how long a stopping worker lets its attempts finish")
    retain_jobs_days: float = Field(default=30.0, gt=0, description="how long ended jobs stay, with their timelines")
    retain_dead_days: float = Field(default=90.0, gt=0, description="how long dead jobs stay")
    retain_contents_days: float = Field(
        default=90.0, gt=0, description="how long a document or issue stays after its last use by an unfinished job"
    )
    retain_subjects_days: float = Field(
        default=730.0, gt=0, description="how long it is known which page, incident or work item belongs to what"
    )
    checkpoint_interval_s: float = Field(
        default=3600.0, gt=0, description="a worker logs a checkpoint of the audit so often"
    )
    log_level: str = Field(default="INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$", description="lowest level logged")

    @field_validator("data", "keys_file")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        """Child processes run in another folder; a symbolic link stays one, so that it can be refused."""
        return Path(os.path.abspath(value.expanduser())) if value else None  # noqa: PTH100 - resolve() follows links

    def instance(self) -> dict[str, Any]:
        """What a running `afterword up` left in the data folder, or nothing."""
        path = self.data / INSTANCE_FILE
        try:
            found = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def redis_address(self) -> str:
        """The Redis URL to use; raises `ConfigError` where there is none."""
        address = self.redis_url or self.instance().get("redis_url")
        if not address:
            raise ConfigError(
                f"No Redis: AFTERWORD_REDIS_URL is not set and nothing runs in {self.data}. "
                "Start `afterword up`, or set AFTERWORD_REDIS_URL."
            )
        scheme = str(address).split("://")[0]
        if scheme not in ("redis", "rediss", "unix"):
            raise ConfigError(f"AFTERWORD_REDIS_URL starts with {scheme[:12]!r}; use redis://, rediss:// or unix://.")
        return str(address)

    def broker_address(self) -> str:
        """Celery's broker URL: AFTERWORD_BROKER_URL, else the ledger's Redis, else the running instance's."""
        left = self.redis_url or self.instance().get("broker_url")
        return str(self.broker_url or left or self.redis_address())


def settings_for(data: Path | None) -> Settings:
    """Settings, with `--data` taking the place of AFTERWORD_DATA; raises `ConfigError` naming each bad variable."""
    try:
        return Settings() if data is None else Settings(data=data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        clauses = [f"AFTERWORD_{'.'.join(map(str, p['loc'])).upper()}: {p['msg']}" for p in problems]
        raise ConfigError(f"{'; '.join(clauses)}. Correct it, or unset it for the default.") from None


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables that start with AFTERWORD_ and set nothing, such as misspelt ones."""
    known = {f"AFTERWORD_{name.upper()}" for name in Settings.model_fields}
    return sorted(name for name in environ if name.startswith("AFTERWORD_") and name.upper() not in known | OTHERS)


def write_instance(settings: Settings, facts: dict[str, Any]) -> None:
    """Leave connection details for other commands, readable by the owner only."""
    path = settings.data / INSTANCE_FILE
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(facts, file)
    fresh.replace(path)
