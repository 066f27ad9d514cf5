"""The whole chain on one machine: stack, demo databases, connectors, every process, and the shop it feeds.

The demo, the benchmarks and the fault tests all drive this one.
"""

from __future__ import annotations

import base64
import datetime as dt
import os
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from onhand.demo import databases as db
from onhand.demo.shop import OrderDesk, Shop
from onhand.settings import Settings
from onhand.stack.local import LocalStack, settings_environment
from onhand.stack.records import take_lock
from onhand.stack.site import Ports, Site, write_private
from schemas.administration import apply as apply_topics
from schemas.codec import Codec
from schemas.errors import OnhandError
from schemas.reader import newest_values
from schemas.records import Progress
from schemas.registry import connected_codec

PROCESSES = ("source-erp", "source-wms", "inventory", "orders", "channel-shop", "metrics", "watch")
SOURCES = ("erp", "wms")
READY_S = 180.0

Say = Callable[[str], None]


class DemoSystem:
    """Context manager: entered, every process runs and the shop holds a promise of every item."""

    shop_type: type[Shop] = Shop

    def __init__(
        self,
        data_dir: Path,
        *,
        items: int,
        seed: int,
        say: Say = lambda line: None,
        ports: Literal["free", "fixed"] = "free",
        processes: tuple[str, ...] = PROCESSES,
        project_dir: Path | None = None,
        overrides: Mapping[str, Any] | None = None,
        keep: bool = False,
    ) -> None:
        """`keep`: the data directory stays when everything has stopped.  `overrides`: settings of every process."""
        self._keep = keep
        self.rng = random.Random(seed)
        self.today = dt.datetime.now(dt.UTC).date()
        self._items, self._say, self._processes = items, say, processes
        self._project = (project_dir or Path.cwd()).absolute()
        self._overrides = dict(overrides or {})
        self._data_dir = data_dir
        self._codec: Codec | None = None
        self.stack = LocalStack(data_dir, ports=ports, restart=True, tell=say)
        self.shop: Shop
        self.business: db.Business
        self.erp: db.Endpoint
        self.wms: db.Endpoint

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything; no process is left behind, and no data unless `keep`."""
        self.stack.close(wipe=not self._keep)
        if hasattr(self, "shop"):
            self.shop.stop()

    @property
    def kept_in(self) -> Path | None:
        """Where the data stays when everything has stopped; None: nowhere."""
        return self._data_dir if self._keep else None

    @property
    def settings(self) -> Settings:
        return self.stack.settings(project_dir=self._project, **self._overrides)

    def override(self, **settings: Any) -> None:
        """Other settings for every process and command from now on; what runs keeps its own."""
        self._overrides |= settings

    # ------------------------------------------------------------ starting

    def _start(self) -> None:
        self._start_afresh()
        self.stack.start()
        self._make_databases()
        self._open_shop()
        settings = self.settings
        apply_topics(kafka=settings.kafka, registry_url=settings.registry_url, partitions=settings.partitions)
        self._say("topics and contracts are in place")
        self.onhand("source", "apply", *SOURCES)
        self._say("both connectors capture")
        for name in self._processes:
            self.start_process(name)
        self.stack.supervise()
        self.wait("the promise of every item to reach the shop", self._shop_is_filled)
        self._say(f"the shop holds {len(self.shop.tags)} promises")

    def _start_afresh(self) -> None:
        """The data of an earlier demo goes.  Raises EnvironmentFault while another one uses it."""
        if self._data_dir.exists():
            site = Site.open(self._data_dir, Ports.free())
            take_lock(site.run).close()
            site.wipe()

    def _make_databases(self) -> None:
        endpoints = self.stack.endpoints
        self.erp, self.wms = _endpoint(endpoints.postgres_dsn), _endpoint(endpoints.mariadb_dsn)
        passwords = {name: secrets.token_urlsafe(12) for name in SOURCES}
        for name, password in passwords.items():
            write_private(endpoints.secrets / f"{name}.properties", f"password={password}\n")
        db.create_erp(self.erp, passwords["erp"])
        db.create_wms(self.wms, passwords["wms"])
        self.business = db.seed(self.erp, self.wms, self._items, self.rng, self.today)
        self._say(f"ERP (PostgreSQL) and WMS (MariaDB) hold {self._items} items in two warehouses")

    def _open_shop(self) -> None:
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        write_private(self.stack.endpoints.secrets / "shop.properties", f"secret={secret}\n")
        self.shop = self.shop_type(secret, OrderDesk(self.erp, self.business, self.today).place)
        self.shop.start()

    def start_process(self, name: str, *, instance: str = "0") -> Any:
        """Start or start again one process of onhand; the supervisor restarts it when it ends."""
        environment = {"ONHAND_SHOP_URL": f"{self.shop.url}/hooks/onhand"}
        return self.stack.start_process(
            name, instance=instance, environment=environment, project_dir=self._project, **self._overrides
        )

    def _shop_is_filled(self) -> bool:
        return len(self.shop.tags) >= self._items

    # ------------------------------------------------------------ using it

    def onhand(self, *arguments: str, accept: tuple[int, ...] = (0,)) -> str:
        """Run the command line as a person would; its standard output.  Raises OnhandError with what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "onhand.cli.main", *arguments],
            env={**os.environ, **settings_environment(self.settings)},
            cwd=self._project,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode not in accept:
            raise OnhandError(f"onhand {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def wait(self, what: str, condition: Callable[[], bool], timeout_s: float = READY_S) -> None:
        """Poll until the condition holds.  Raises OnhandError naming what did not happen and what does not run."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                down = [
                    f"{row.name} is {row.state}" for row in self.stack.rows() if row.state not in ("ready", "running")
                ]
                raise OnhandError(
                    f"waited {timeout_s:.0f} s for {what}, in vain; {'; '.join(down) or 'everything runs'}"
                )
            time.sleep(0.1)

    def newest(self, topic: str) -> dict[str, Any]:
        """The newest record of every key of a compacted topic; withdrawn keys are left out."""
        if self._codec is None:
            self._codec = connected_codec(self.settings.registry_url)
        return newest_values(self.settings.kafka, topic, self._codec)

    def promised_up_to(self, moment_us: int) -> bool:
        """Whether inventory says that all commits before this moment are in every partition's promises."""
        stated = [
            progress
            for progress in self.newest("progress.v1").values()
            if isinstance(progress, Progress) and progress.stage == "inventory"
        ]
        wanted = len(SOURCES) * self.settings.partitions
        reached = [p for p in stated if p.complete and p.source_time_us is not None and p.source_time_us >= moment_us]
        return len(reached) == wanted


def _endpoint(dsn: str) -> db.Endpoint:
    parts = urlsplit(dsn)
    return db.Endpoint(parts.hostname or "127.0.0.1", parts.port or 0, parts.username or "", parts.password or "")
