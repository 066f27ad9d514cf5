"""Where one local stack lives: its folders, ports and passwords, kept in the data directory over restarts."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import random
import shutil
import uuid
from base64 import urlsafe_b64encode
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import urlsplit

from onhand.settings import STACK_FILE, Settings
from onhand.stack.component import HOST, port_is_free
from schemas.errors import EnvironmentFault, InvalidInput

IDENTITY_FILE = "identity.json"
SHELTER = Path("/var/lib/onhand")
"""Where databases live when their unprivileged user cannot reach the data directory."""
FREE_PORTS = range(20_000, 32_000)
"""Below the range from which the kernel gives ports to outgoing connections, so that none is taken meanwhile."""


@dataclass(frozen=True)
class Ports:
    """Every port of a stack, all on 127.0.0.1."""

    kafka: int
    controller: int
    connect: int
    registry: int
    registry_management: int
    postgres: int
    mariadb: int
    clickhouse: int

    @classmethod
    def fixed(cls, settings: Settings) -> Ports:
        """The documented ports of `onhand up`, or what the settings say.  Raises InvalidInput for another host."""
        kafka = _local_port("ONHAND_KAFKA", f"//{settings.kafka}")
        registry = _local_port("ONHAND_REGISTRY_URL", settings.registry_url)
        return cls(
            kafka=kafka,
            controller=kafka + 1,
            connect=_local_port("ONHAND_CONNECT_URL", settings.connect_url),
            registry=registry,
            registry_management=registry + 1,
            postgres=settings.postgres_port,
            mariadb=settings.mariadb_port,
            clickhouse=settings.clickhouse_port,
        )

    @classmethod
    def free(cls) -> Ports:
        """Ports that nobody listens on now."""
        found: list[int] = []
        for port in random.sample(FREE_PORTS, len(FREE_PORTS)):
            if port_is_free(port):
                found.append(port)
                if len(found) == len(cls.__dataclass_fields__):
                    return cls(*found)
        raise EnvironmentFault(f"no free ports between {FREE_PORTS.start} and {FREE_PORTS.stop}")


def _local_port(name: str, url: str) -> int:
    parts = urlsplit(url)
    if parts.hostname not in {HOST, "localhost"} or not parts.port:
        raise InvalidInput(f"{name}: {url.lstrip('/')} is not a port on {HOST}, where the local stack runs; unset it")
    return parts.port


@dataclass(frozen=True)
class Identity:
    """What must not change while a data directory lives."""

    cluster_id: str
    """Kafka's cluster id."""
    password: str
    """Of the databases' superusers (postgres, root)."""


@dataclass(frozen=True)
class Site:
    """One data directory with its ports."""

    data_dir: Path
    """Absolute."""
    ports: Ports
    identity: Identity
    secrets: Path
    """What connectors and channels may read; absolute."""

    @classmethod
    def open(cls, data_dir: Path, ports: Ports, secrets_dir: Path | None = None) -> Site:
        """Makes the directory, or takes up the one that is there; `secrets_dir` None: a folder of its own in it."""
        data_dir = data_dir.absolute()
        for folder in (data_dir, data_dir / "run", data_dir / "logs", data_dir / "conf"):
            folder.mkdir(parents=True, exist_ok=True)
        secrets = (secrets_dir or data_dir / "secrets").absolute()
        secrets.mkdir(mode=0o700, exist_ok=True)
        path = data_dir / IDENTITY_FILE
        if not path.exists():
            # a leading dash would look like an option to Kafka's format tool
            cluster_id = "O" + urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
            fresh = Identity(cluster_id=cluster_id, password=token_urlsafe(12))
            write_private(path, json.dumps(asdict(fresh)))
        return cls(data_dir, ports, Identity(**json.loads(path.read_text())), secrets)

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def run(self) -> Path:
        return self.data_dir / "run"

    @property
    def conf(self) -> Path:
        return self.data_dir / "conf"

    def database_dir(self, name: str, user: str | None) -> Path:
        """A folder for a database server that `user` owns and can reach.

        When a folder above the data directory keeps that user out (a private home), the folder is made under
        /var/lib/onhand and the data directory holds a link to it, which says so.
        """
        place = self.data_dir / name
        if user is None:
            place.mkdir(mode=0o700, exist_ok=True)
            return place
        if not place.exists():
            place.unlink(missing_ok=True)  # a link whose target is gone
            if reachable(self.data_dir, user):
                place.mkdir(mode=0o700)
            else:
                digest = hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:10]
                shelter = SHELTER / f"{name}-{digest}"
                shutil.rmtree(shelter, ignore_errors=True)  # of a data directory of this name that was deleted
                shelter.mkdir(parents=True)
                place.symlink_to(shelter)
        target = place.resolve()
        account = pwd.getpwnam(user)
        os.chown(target, account.pw_uid, account.pw_gid)
        target.chmod(0o700)
        return target

    def endpoints(self) -> dict[str, str | int]:
        """Settings that differ from stack to stack, and the superusers' DSNs."""
        return {
            "kafka": f"{HOST}:{self.ports.kafka}",
            "connect_url": f"http://{HOST}:{self.ports.connect}",
            "registry_url": f"http://{HOST}:{self.ports.registry}/apis/ccompat/v7",
            "clickhouse_port": self.ports.clickhouse,
            "postgres_port": self.ports.postgres,
            "mariadb_port": self.ports.mariadb,
            "postgres_dsn": f"postgresql://postgres:{self.identity.password}@{HOST}:{self.ports.postgres}/postgres",
            "mariadb_dsn": f"mysql://root:{self.identity.password}@{HOST}:{self.ports.mariadb}/",
        }

    def write_endpoints(self) -> None:
        """`stack.json`: what every onhand process reads its endpoints from."""
        write_private(self.data_dir / STACK_FILE, json.dumps(self.endpoints(), indent=2))

    def wipe(self) -> None:
        """Delete all state, also what lives under /var/lib/onhand.  The stack must be down."""
        for name in ("postgres", "mariadb"):
            link = self.data_dir / name
            if link.is_symlink() and link.resolve().parent == SHELTER:
                shutil.rmtree(link.resolve(), ignore_errors=True)
        shutil.rmtree(self.data_dir, ignore_errors=True)


def reachable(folder: Path, user: str) -> bool:
    """Whether the user may pass through every folder on the way."""
    account = pwd.getpwnam(user)
    for place in [folder, *folder.parents]:
        status = place.stat()
        if status.st_uid == account.pw_uid:
            allowed = status.st_mode & 0o100
        elif status.st_gid == account.pw_gid:
            allowed = status.st_mode & 0o010
        else:
            allowed = status.st_mode & 0o001
        if not allowed:
            return False
    return True


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, readable by the owner alone."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.touch(mode=0o600)
    scratch.write_text(text)
    scratch.replace(path)


def service_user(user: str) -> str | None:
    """The unprivileged user a database runs as: itself when we are root, else we are unprivileged already."""
    return user if os.geteuid() == 0 else None
