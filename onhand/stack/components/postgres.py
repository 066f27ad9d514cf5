"""PostgreSQL of the distribution, with logical decoding on and a password required over TCP."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onhand.stack.component import HOST, Command, port_answers
from onhand.stack.packages import POSTGRES_FOLDERS
from onhand.stack.process import Identity, program, wait_until
from onhand.stack.site import Site, service_user, write_private
from schemas.errors import EnvironmentFault

USER = "postgres"
REAPED_S = 5.0
"""How long init may take to reap a server whose supervisor was killed."""


@dataclass(frozen=True)
class Postgres:
    site: Site
    name: str = "postgres"
    needs: tuple[str, ...] = ()

    @property
    def ports(self) -> Mapping[str, int]:
        return {"clients": self.site.ports.postgres}

    def _folder(self) -> Path:
        return self.site.database_dir("postgres", service_user(USER))

    def prepare(self) -> None:
        """A cluster whose superuser `postgres` needs the site's password (SCRAM); no other way in."""
        folder = self._folder()
        data = folder / "data"
        if (data / "PG_VERSION").exists():
            forget_killed_server(data / "postmaster.pid")
            return
        user = service_user(USER)
        password = folder / "password"
        write_private(password, self.site.identity.password)
        if user:
            shutil.chown(password, user, user)
        done = subprocess.run(
            (
                *(_program("initdb"), "--pgdata", str(data), "--username", USER, "--auth", "scram-sha-256"),
                *("--pwfile", str(password), "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
            ),
            capture_output=True,
            text=True,
            cwd=folder,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            check=False,
        )
        password.unlink()
        if done.returncode:
            raise EnvironmentFault(f"postgres: initdb in {data} failed: {done.stderr.strip()}")

    def settings(self) -> dict[str, object]:
        """postgresql.conf, given on the command line."""
        return {
            "listen_addresses": HOST,
            "port": self.site.ports.postgres,
            "unix_socket_directories": "",
            "wal_level": "logical",
            "max_connections": 200,
            "max_replication_slots": 32,
            "max_wal_senders": 32,
            "max_slot_wal_keep_size": "4GB",
            "shared_buffers": "128MB",
        }

    def command(self) -> Command:
        folder = self._folder()
        return Command(
            argv=(
                *(_program("postgres"), "-D", str(folder / "data")),
                *(word for key, value in self.settings().items() for word in ("-c", f"{key}={value}")),
            ),
            cwd=folder,
            environment={"LC_ALL": "C.UTF-8"},
            stop_signal=signal.SIGINT,  # SIGTERM would wait for every client to leave
            user=service_user(USER),
        )

    def ready(self) -> bool:
        if not port_answers(self.site.ports.postgres):
            return False
        import psycopg

        try:
            with psycopg.connect(
                host=HOST,
                port=self.site.ports.postgres,
                user=USER,
                password=self.site.identity.password,
                dbname="postgres",
                connect_timeout=2,
            ) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True


def forget_killed_server(pid_file: Path) -> None:
    """After kill -9 the old server is a zombie until it is reaped, and PostgreSQL takes its pid for a running server's.

    A pid that lives is left for PostgreSQL to refuse.
    """
    try:
        pid = int(pid_file.read_text().partition("\n")[0])
    except (OSError, ValueError):
        return
    reaped = wait_until(lambda: not Path(f"/proc/{pid}").exists() or Identity.of(pid) is not None, REAPED_S)
    if not reaped:  # nobody will; its children have long seen that it is gone
        pid_file.unlink(missing_ok=True)


def _program(name: str) -> str:
    found = program(name, *POSTGRES_FOLDERS)
    if found is None:
        raise EnvironmentFault(
            f"postgres: {name} is not there; run  sudo apt-get install --no-install-recommends postgresql"
        )
    return found
