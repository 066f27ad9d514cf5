"""All settings of a process, built once and passed down.

Order of precedence: environment `ONHAND_…`, then `<data_dir>/stack.json` (the endpoints that `onhand up` chose), then
the defaults, which are the fixed ports of `onhand up`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.errors import InvalidInput

STACK_FILE = "stack.json"


class StackFile(PydanticBaseSettingsSource):
    """Endpoints that a running local stack wrote down."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError("this source answers all fields at once")

    def __call__(self) -> dict[str, Any]:
        data_dir = Path(self.current_state.get("data_dir") or ".onhand")
        path = data_dir / STACK_FILE
        if not path.is_file():
            return {}
        known = self.settings_cls.model_fields
        return {name: value for name, value in json.loads(path.read_text()).items() if name in known}


class Settings(BaseSettings):
    """Endpoints, folders and limits."""

    model_config = SettingsConfigDict(env_prefix="ONHAND_", extra="forbid", frozen=True)

    project_dir: Path = Path()
    """Folder that holds connect-configs and channel-configs."""
    data_dir: Path = Path(".onhand")
    """All state of the local stack and of the processes."""
    secrets_dir: Path | None = None
    """Folder that connectors and channels may read secrets from; None: `<data_dir>/secrets`."""
    kafka: str = "127.0.0.1:19092"
    """Bootstrap servers."""
    connect_url: str = "http://127.0.0.1:18083"
    """Kafka Connect REST."""
    registry_url: str = "http://127.0.0.1:18081/apis/ccompat/v7"
    """Confluent-compatible schema registry API."""
    clickhouse_dsn: str = "chdb://"
    """`chdb://` (a directory under data_dir, owned by the metrics worker) or `http://user:password@host:8123/database`."""
    clickhouse_port: int = 18123
    """Port on 127.0.0.1 where the metrics worker answers ClickHouse's HTTP protocol, with `chdb://`."""
    postgres_host: str = "127.0.0.1"
    """Where Kafka Connect and onhand find the demo ERP's PostgreSQL (`${onhand:postgres_host}` in connector.json)."""
    postgres_port: int = 15432
    """Port of the local stack's PostgreSQL (demo ERP, tests)."""
    mariadb_host: str = "127.0.0.1"
    """Where Kafka Connect and onhand find the demo WMS's MariaDB."""
    mariadb_port: int = 13306
    """Port of the local stack's MariaDB (demo WMS, tests)."""
    health_port: int = 0
    """Port of this process's health answer; 0: a free one, written to `<data_dir>/run/<process>.health`."""
    watch_port: int = 0
    """The same for the watch, which tells Prometheus where all others are; 0: as `health_port` says."""
    health_host: str = "127.0.0.1"
    """Address the health answer listens on; in a container 0.0.0.0, so that Prometheus reaches it from another one."""
    partitions: int = Field(default=4, ge=1, le=1000)
    """Partitions of the canonical topics."""
    replication: int = Field(default=1, ge=1)
    """Replication factor of every topic onhand creates."""
    session_timeout_s: float = Field(default=10.0, ge=6.0)
    """Kafka group session: a dead owner is replaced after this."""
    horizon_days: int = Field(default=90, ge=1)
    """How far ahead ATP looks."""
    inbound_grace_days: int = Field(default=7, ge=0)
    """How long inbound past its date still counts (from tomorrow)."""
    retention_warn_used: float = Field(default=0.5, gt=0, le=1)
    """Warn when so much of what a database keeps for its connector (WAL, binlog) is used up; red at 0.9."""
    retention_warn_left_h: float = Field(default=12.0, ge=0)
    """Warn when WAL or binlog lasts so many hours more at the present rate; red at 1."""
    instance: str = "0"
    """Tells workers of one group on one machine apart: each has its own store directory."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, StackFile(settings_cls)

    @property
    def connect_configs(self) -> Path:
        return self.project_dir / "connect-configs"

    @property
    def sources(self) -> list[str]:
        """Names of the sources that have a mapping, sorted."""
        return sorted(file.parent.name for file in self.connect_configs.glob("*/source.yaml"))

    @property
    def connector_variables(self) -> dict[str, str]:
        """What `${onhand:…}` in connector.json may name."""
        return {
            "kafka": self.kafka,
            "secrets": str(self.secrets),
            "postgres_host": self.postgres_host,
            "postgres_port": str(self.postgres_port),
            "mariadb_host": self.mariadb_host,
            "mariadb_port": str(self.mariadb_port),
        }

    @property
    def secrets(self) -> Path:
        """Folder of secret files, absolute, as Kafka Connect's config providers need it."""
        return (self.secrets_dir or self.data_dir / "secrets").absolute()

    @property
    def channel_configs(self) -> Path:
        return self.project_dir / "channel-configs"


def load_settings(**overrides: Any) -> Settings:
    """Raises InvalidInput with every wrong setting named at once."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        wrong = "; ".join(f"ONHAND_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise InvalidInput(f"settings: {wrong}") from None
