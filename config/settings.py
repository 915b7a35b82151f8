"""Settings from the environment (`AFTERWORD_*`) and, for a running `afterword up`, from its data folder."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.accepted import has_host, is_taken_apart, problems
from config.instance import read_instance
from config.redis_address import ENCODE, is_redis, is_sentinel, parse

_SEVERAL = re.compile(r";(?=[a-z+]+://)")  # Celery takes several brokers, to be tried in turn
ROLES = ("viewer", "producer", "operator", "admin")  # from the least to the most
OTHERS = frozenset({"AFTERWORD_SHARED", "AFTERWORD_REDIS_PASSWORD"})  # read by the tests and by docker-compose.yml
# What the programs in docs/producers.md read, and how it begins: AFTERWORD_KEY may also be a misspelt AFTERWORD_KEYS.
PRODUCERS = {"AFTERWORD_URL": "http", "AFTERWORD_KEY": "ak_", "AFTERWORD_BROKER": ""}


class ConfigError(Exception):
    """A setting or key that can't be used; the text says which and what to do."""


class Settings(BaseSettings):
    """Every setting of Afterword. Durations carry their unit in the name."""

    model_config = SettingsConfigDict(
        env_prefix="AFTERWORD_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    redis_url: str | None = Field(
        default=None,
        repr=False,
        description="Redis >= 6.2 or Valkey that holds ledger and audit: redis://, rediss:// (TLS), unix:// or "
        "sentinel://; see below",
    )
    broker_url: str | None = Field(
        default=None,
        repr=False,
        description="Celery's broker, such as amqp://; by default the Redis of AFTERWORD_REDIS_URL",
    )
    sentinel_password: SecretStr | None = Field(
        default=None, description="password of the sentinels themselves, where they have one"
    )
    replicas: int | None = Field(
        default=None,
        ge=0,
        le=5,
        description="replicas that must have a write before it counts; by default 1 with Sentinel, else 0",
    )
    data: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("afterword")),
        description="folder of `afterword up`: embedded Valkey, key file, connection details",
    )
    keys_file: Path | None = Field(
        default=None, description="key file (mode 0600), one Fernet key a line, newest first"
    )
    keys: SecretStr | None = Field(default=None, description="the keys themselves, comma-separated; a file is safer")
    keys_provider: str | None = Field(
        default=None,
        description="what wraps the keys in the key file, such as the PKCS#11 token "
        "pkcs11:token=…;object=…?module-path=…&pin-source=file:…; plain keys where unset",
    )
    concurrency: int = Field(default=200, ge=1, le=2000, description="attempts that one worker runs at once")
    worker_processes: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="processes of one worker, which share its attempts; by default one, and when that uses up a core, one for "
        "each core that the worker may use, at most 4",
    )
    prefix: str = Field(default="afterword", pattern=r"^[a-z][a-z0-9-]{0,30}$", description="prefix of all Redis keys")
    result_ttl_s: int = Field(default=7 * 24 * 3600, ge=60, description="how long Celery results are kept")
    sweep_interval_s: float = Field(default=1.0, gt=0, description="longest time between two checks for due jobs")
    heartbeat_ttl_s: float = Field(
        default=6.0, gt=0, description="a worker without a heartbeat for this long is considered dead"
    )
    redis_patience_s: float = Field(
        default=60.0,
        ge=0,
        description="how long a starting worker waits for a Redis that is not available: it may be failing over",
    )
    resend_after_s: float = Field(
        default=10.0, gt=0, description="a job offered to a worker that did not take it by then is offered again"
    )
    crash_limit: int = Field(
        default=3, ge=1, le=1000, description="a job that crashed this many workers in a row ends as dead (quarantined)"
    )
    drain_s: float = Field(default=25.0, ge=0, description="how long a stopping worker lets its attempts finish")
    document_processes: int = Field(
        default=2,
        ge=1,
        le=64,
        description="processes in which each worker (and the API) renders and screens contents over 100 kB",
    )
    document_limit_s: float = Field(
        default=60.0,
        gt=0,
        description="how long rendering and screening such a content may take; then its job is held",
    )
    document_memory_mb: int = Field(
        default=2000,
        ge=200,
        le=1_000_000,
        description="memory that such a process may take; a content that needs more is held",
    )
    look_first: bool = Field(
        default=False,
        description="look for a subject's object before the first one is created: for when Redis was lost or restored",
    )
    retain_jobs_days: float = Field(default=30.0, gt=0, description="how long ended jobs stay, with their timelines")
    retain_dead_days: float = Field(default=90.0, gt=0, description="how long dead jobs stay")
    retain_contents_days: float = Field(
        default=90.0, gt=0, description="how long a document or issue stays after its last use by an unfinished job"
    )
    retain_subjects_days: float = Field(
        default=730.0,
        gt=0,
        description="how long Afterword remembers which page or ticket belongs to a document or issue",
    )
    checkpoint_interval_s: float = Field(
        default=3600.0, gt=0, description="time between two checkpoints of the audit in the workers' logs"
    )
    checkpoints: str | None = Field(
        default=None,
        description="where checkpoints of the audit are kept outside Redis: a folder (by default `checkpoints` in the data "
        "folder), an address that fsspec knows such as s3://bucket/audit, syslog, syslog:SOCKET, syslog://HOST:PORT, or none",
    )
    checkpoint_every_s: float = Field(
        default=300.0, gt=0, description="time between two checkpoints that are kept there, while there are new entries"
    )
    timestamp_url: str | None = Field(
        default=None,
        repr=False,
        pattern=r"^https?://",
        description="authority (RFC 3161) that gives each newest checkpoint a time stamp; none where unset",
    )
    timestamp_proxy_url: str | None = Field(
        default=None, repr=False, pattern=r"^https?://", description="proxy through which that authority is asked"
    )
    timestamp_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the certificates that issued that authority's own; `audit verify` needs it, too",
    )
    api_rate_per_minute: int = Field(default=30_000, ge=1, description="requests that one API key may make in a minute")
    api_longest_wait_s: int = Field(
        default=60,
        ge=0,
        le=300,
        description="longest time that `?wait=` holds a request; shorter than any proxy's limit",
    )
    callback_origins: str = Field(
        default="", description="origins that job outcomes may be posted to, comma-separated: https://tool.example.com"
    )
    callback_private: str = Field(
        default="", description="private networks (CIDR, comma-separated) that callbacks may be posted into"
    )
    screening_file: Path | None = Field(
        default=None,
        description="TOML file with the screening policy: actions by type and destination, allowed values, people's names",
    )
    trusted_proxies: str = Field(
        default="",
        description="networks (CIDR, comma-separated) of reverse proxies whose X-Forwarded-For names the client; none by default",
    )
    public_url: str | None = Field(
        default=None,
        description="the console's address as browsers see it behind a proxy: https://afterword.example.com; "
        "by default the address that the browser asked for",
    )
    oidc_issuer: str | None = Field(
        default=None, description="issuer of the OpenID Connect provider that people sign in at; see sign-in.md"
    )
    oidc_client_id: str | None = Field(
        default=None, validate_default=True, pattern="^[!-~]+$", description="client id of the console at the provider"
    )
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="the client's secret; a file is safer; none for a public client (PKCE)"
    )
    oidc_client_secret_file: Path | None = Field(
        default=None, description="file that holds the client's secret; it is read at each sign-in"
    )
    oidc_scopes: str = Field(
        default="openid profile email", description="scopes that are asked for, with blanks between"
    )
    oidc_groups_claim: str = Field(
        default="groups", min_length=1, description="claim that names a person's groups; dots lead into nested claims"
    )
    oidc_roles: str = Field(
        default="",
        validate_default=True,
        description="which group gives which role (viewer, producer, operator, admin): `operator=sre; admin=sre-leads`",
    )
    oidc_email_domains: str = Field(
        default="", description="domains of verified e-mail addresses that may sign in, comma-separated; all by default"
    )
    oidc_name: str = Field(
        default="single sign-on", min_length=1, max_length=60, description="what the button calls it: Sign in with NAME"
    )
    oidc_session_hours: float = Field(
        default=12.0, gt=0, le=24, description="longest life of a session that was opened by a sign-in"
    )
    oidc_private: str = Field(
        default="", description="private networks (CIDR, comma-separated) that the provider may be in"
    )
    oidc_ca_file: Path | None = Field(
        default=None, description="certificate authorities (PEM) for the provider, beside the system's"
    )
    oidc_proxy_url: str | None = Field(
        default=None, pattern=r"^https?://", description="proxy through which the provider is asked"
    )
    log_level: str = Field(
        default="INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR|CRITICAL)$", description="lowest level logged"
    )
    log_format: str = Field(
        default="text", pattern=r"^(text|json)$", description="lines for people, or one JSON object a line"
    )
    otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="collector that takes traces over OTLP/HTTP, such as http://127.0.0.1:4318; no traces where unset",
    )

    @field_validator(
        "data", "keys_file", "screening_file", "timestamp_ca_file", "oidc_client_secret_file", "oidc_ca_file"
    )
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        """Child processes run in another folder; a symbolic link stays one, so that it can be refused."""
        return Path(os.path.abspath(value.expanduser())) if value else None  # noqa: PTH100 - resolve() follows links

    @field_validator("timestamp_url", "timestamp_proxy_url", "oidc_proxy_url", "otlp_endpoint")
    @classmethod
    def _whole_address(cls, value: str | None) -> str | None:
        if value is not None and not has_host(value):
            raise ValueError("must be an address such as `https://host.example.com`, with a host and without blanks")
        return value

    @field_validator("checkpoints")
    @classmethod
    def _place(cls, value: str | None) -> str | None:
        if value and not is_taken_apart(value):
            raise ValueError(
                "must be a folder, an address such as `s3://bucket/audit` or `syslog://HOST:PORT`, or `none`"
            )
        return value

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        more = parts.username or parts.path.strip("/") or parts.query or parts.fragment
        if parts.scheme not in ("http", "https") or not parts.hostname or more:
            raise ValueError("write scheme, host and port only: https://afterword.example.com")
        usual = {"http": ":80", "https": ":443"}[parts.scheme]  # which no browser names
        return f"{parts.scheme}://{parts.netloc.lower().removesuffix(usual)}"

    @field_validator("oidc_client_id")
    @classmethod
    def _client(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("oidc_issuer") and not value:
            raise ValueError("name the client as well where AFTERWORD_OIDC_ISSUER is set")
        return value

    @field_validator("oidc_client_secret_file")
    @classmethod
    def _one_secret(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value and info.data.get("oidc_client_secret"):
            raise ValueError("AFTERWORD_OIDC_CLIENT_SECRET is set, too; unset one of them")
        return value

    @field_validator("oidc_roles")
    @classmethod
    def _roles(cls, value: str, info: ValidationInfo) -> str:
        if not groups_by_role(value) and info.data.get("oidc_issuer"):
            raise ValueError("nobody could sign in; name a group for a role: operator=sre; admin=sre-leads")
        return value

    @field_validator("trusted_proxies", "oidc_private")
    @classmethod
    def _networks(cls, value: str) -> str:
        for part in filter(None, map(str.strip, value.split(","))):
            try:
                ipaddress.ip_network(part, strict=False)
            except ValueError:
                raise ValueError(f"{part[:60]!r} is no network; write it as 10.1.0.0/16") from None
        return value

    def instance(self) -> dict[str, Any]:
        """What a running `afterword up` left in the data folder, or nothing."""
        return read_instance(self.data)

    def redis_address(self) -> str:
        """The Redis URL to use; raises `ConfigError` where there is none."""
        address = self.redis_url or self.instance().get("redis_url")
        if not address:
            raise ConfigError(
                f"No Redis: AFTERWORD_REDIS_URL is not set and nothing runs in {self.data}. "
                "Start `afterword up`, or set AFTERWORD_REDIS_URL."
            )
        return _redis_address("AFTERWORD_REDIS_URL", str(address))

    def instance_name(self) -> str:
        """Which Redis this is, by its address without any account; each of this machine is `local`, for the data folder
        tells them apart.
        """
        address = self.redis_address()
        if address.startswith("unix:"):
            return "local"
        if is_sentinel(address):
            found = parse(address)
            return f"{found.service}/{found.db}"
        parts = urlsplit(address)
        if parts.hostname in ("127.0.0.1", "::1", "localhost", None):
            return "local"
        return f"{parts.hostname}:{parts.port or 6379}{parts.path.rstrip('/')}"

    def broker_address(self) -> str:
        """Celery's broker URL: AFTERWORD_BROKER_URL, else the ledger's Redis, else the running instance's."""
        left = self.redis_url or self.instance().get("broker_url")
        address = str(self.broker_url or left or self.redis_address())
        return _broker_address("AFTERWORD_BROKER_URL", address)

    def replicas_wanted(self) -> int:
        """How many replicas must hold a transition before it counts.

        Replication is asynchronous: without waiting, a failover may forget that a request was permitted.
        """
        if self.replicas is not None:
            return self.replicas
        return 1 if is_sentinel(self.redis_address()) else 0


def _redis_address(name: str, address: str) -> str:
    """The address, unless it can't be taken apart. Those who would, later, quote the password that breaks it."""
    try:
        parse(address)
    except ValueError as error:
        raise ConfigError(f"{name} {error}.") from None
    return address


def _broker_address(name: str, address: str) -> str:
    """The same of what may be another broker's, or several."""
    if is_redis(address) and not _SEVERAL.search(address):
        return _redis_address(name, address)
    try:
        each = [urlsplit(one) for one in _SEVERAL.split(address)]
        broken = any(parts.port is None and "@" in parts.path + parts.query + parts.fragment for parts in each)
    except ValueError:
        broken = True
    if broken:
        raise ConfigError(f"{name} {ENCODE}.")
    return address


def groups_by_role(text: str) -> list[tuple[str, str]]:
    """Role and group of each part of `role=group; role=group`; raises `ValueError` naming the part that is none."""
    found = []
    for part in filter(None, map(str.strip, text.split(";"))):
        role, _, group = (half.strip() for half in part.partition("="))
        if role not in ROLES or not group:
            raise ValueError(
                f"{part[:60]!r} is no role with its group; write viewer=staff; operator=sre; admin=sre-leads"
            )
        found.append((role, group))
    return found


def settings_for(data: Path | None = None) -> Settings:
    """Settings, with `--data` taking the place of AFTERWORD_DATA; raises `ConfigError` naming each bad variable."""
    try:
        return Settings() if data is None else Settings(data=data)
    except ValidationError as error:
        raise ConfigError(
            f"{'; '.join(problems(error, Settings.model_json_schema()))}. Correct it, or unset it for the default."
        ) from None


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables that start with AFTERWORD_ and set nothing, such as misspelt ones."""
    known = {f"AFTERWORD_{name.upper()}" for name in Settings.model_fields}
    known |= OTHERS | {name for name, start in PRODUCERS.items() if environ.get(name, "").startswith(start)}
    return sorted(name for name in environ if name.startswith("AFTERWORD_") and name.upper() not in known)
