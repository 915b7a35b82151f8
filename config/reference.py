"""The page docs/configuration.md, made from the settings themselves."""

from __future__ import annotations

from typing import Any

from pydantic.fields import FieldInfo

from config.accepted import accepted
from config.settings import Settings

HEAD = """# Configuration

Environment variables; every command reads them. Made from `config/settings.py` by `make docs`.

| variable | default | accepts | what it sets |
|---|---|---|---|
"""
TAIL = """
Keys may also come from the file `afterword-keys` in `$CREDENTIALS_DIRECTORY` (systemd). Two sources at once are refused.
A variable that starts with `AFTERWORD_` and isn't listed here is named by `afterword doctor`.

## Addresses of Redis

`AFTERWORD_REDIS_URL`, and `AFTERWORD_BROKER_URL` where the broker is a Redis of its own:

```
redis://:PASSWORD@HOST:6379/0
redis://USER:PASSWORD@HOST/2
rediss://HOST/0
rediss://USER:PASSWORD@HOST:6380/0?ssl_ca_certs=ca.pem
rediss://HOST/0?ssl_ca_certs=ca.pem&ssl_certfile=client.pem&ssl_keyfile=client.key
unix://:PASSWORD@/run/redis/redis.sock?db=1
sentinel://:PASSWORD@ONE:26379,TWO:26379,THREE:26379/SERVICE
rediss+sentinel://:PASSWORD@ONE:26379,TWO:26379,THREE:26379/SERVICE/0?ssl_ca_certs=ca.pem
```

* Ports are 6379 and 26379 where none is given; the last number is the database. Write each of `/ ? # @ : [ ]` in a
  password as `%2F %3F %23 %40 %3A %5B %5D`.
* `rediss` is TLS. Certificate and host name are always checked: against the system's authorities, or the file
  `ssl_ca_certs`. Paths are taken from the folder that the command starts in. `ssl_cert_reqs=none` checks nothing, for a
  network that is yours. `ssl_certfile` and `ssl_keyfile` are this client's own certificate.
* Behind `sentinel` stand the sentinels; user and password are those of the Redis servers, `AFTERWORD_SENTINEL_PASSWORD`
  is the sentinels'. SERVICE is the name that they watch.
* Other options: `socket_timeout`, `socket_connect_timeout` (seconds), `health_check_interval`, `max_connections`,
  `client_name`, `ssl_ca_path`, `ssl_ciphers`, `ssl_min_version`, `ssl_password` (of the key file), `ssl_check_hostname`.

`AFTERWORD_REDIS_PASSWORD` and `FLOWER_BASIC_AUTH` are read by `docker-compose.yml` only.
The standard `OTEL_*` variables set what `AFTERWORD_OTLP_ENDPOINT` doesn't, such as headers and resource attributes.
"""


def page() -> str:
    """The whole page."""
    schema = Settings.model_json_schema()["properties"]
    rows = [_row(name, setting, schema[name]) for name, setting in Settings.model_fields.items()]
    return HEAD + "\n".join(rows) + "\n" + TAIL


def _row(name: str, setting: FieldInfo, schema: dict[str, Any]) -> str:
    default = "not set" if setting.default is None else f"`{setting.default}`"
    if setting.default_factory is not None:
        default = "the user's data directory"
    cells = (f"`AFTERWORD_{name.upper()}`", default, accepted(schema), (setting.description or "").replace("|", "\\|"))
    return f"| {' | '.join(cells)} |"
