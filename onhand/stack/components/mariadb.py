"""MariaDB of the distribution, with a row binlog, GTIDs and no anonymous users."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onhand.stack.component import HOST, Command, port_answers
from onhand.stack.packages import MARIADB_FOLDERS
from onhand.stack.process import program
from onhand.stack.site import Site, service_user, write_private
from schemas.errors import EnvironmentFault

USER = "mysql"


@dataclass(frozen=True)
class Mariadb:
    site: Site
    name: str = "mariadb"
    needs: tuple[str, ...] = ()

    @property
    def ports(self) -> Mapping[str, int]:
        return {"clients": self.site.ports.mariadb}

    def _folder(self) -> Path:
        return self.site.database_dir("mariadb", service_user(USER))

    def prepare(self) -> None:
        """System tables once; at every start a file of statements that holds the superuser to the site's password."""
        folder = self._folder()
        data = folder / "data"
        user = service_user(USER)
        self._write_statements(folder / "start.sql")
        scratch = folder / "tmp"
        scratch.mkdir(mode=0o700, exist_ok=True)
        if user:
            shutil.chown(scratch, user, user)
        if (data / "mysql").is_dir():
            return
        done = subprocess.run(
            self.installation(),
            capture_output=True,
            text=True,
            cwd=folder,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            check=False,
        )
        if done.returncode:
            reason = (done.stderr or done.stdout).strip()
            raise EnvironmentFault(f"mariadb: mariadb-install-db in {data} failed: {reason}")

    def installation(self) -> tuple[str, ...]:
        """The command that makes the system tables; it runs a server, so it too has a `tmpdir` of its own."""
        folder = self._folder()
        return (
            *(_program("mariadb-install-db"), "--no-defaults", f"--datadir={folder / 'data'}", _tmpdir(folder)),
            *("--skip-test-db", "--skip-name-resolve", "--auth-root-authentication-method=normal"),
        )

    def _write_statements(self, path: Path) -> None:
        password = self.site.identity.password
        statements = (
            "SET sql_log_bin = 0",
            # anonymous users shadow 'cdc'@'%' for connections from this host
            "DELETE FROM mysql.global_priv WHERE User = ''",
            f"DELETE FROM mysql.global_priv WHERE User = 'root' AND Host NOT IN ('localhost', '{HOST}')",
            "FLUSH PRIVILEGES",
            f"ALTER USER root@localhost IDENTIFIED BY '{password}'",
            f"CREATE USER IF NOT EXISTS root@'{HOST}'",
            f"ALTER USER root@'{HOST}' IDENTIFIED BY '{password}'",
            f"GRANT ALL ON *.* TO root@'{HOST}' WITH GRANT OPTION",
        )
        write_private(path, "".join(f"{statement};\n" for statement in statements))
        if user := service_user(USER):
            shutil.chown(path, user, user)

    def options(self) -> dict[str, object]:
        """The server's options, but for its folders."""
        return {
            "bind-address": HOST,
            "port": self.site.ports.mariadb,
            "server-id": 1,
            "log-bin": "binlog",
            "binlog-format": "ROW",
            "binlog-row-image": "FULL",
            "gtid-strict-mode": "ON",
            "expire-logs-days": 10,
            "character-set-server": "utf8mb4",
            "innodb-buffer-pool-size": "128M",
            "max-connections": 200,
            "event-scheduler": "ON",
        }

    def command(self) -> Command:
        folder = self._folder()
        folders = {
            "datadir": folder / "data",
            "socket": "server.sock",  # relative: under the data directory, whose own path may be too long for a socket
            "pid-file": "server.pid",
            "init-file": folder / "start.sql",
        }
        return Command(
            argv=(
                *(_program("mariadbd"), "--no-defaults", "--skip-name-resolve", _tmpdir(folder)),
                *(f"--{key}={value}" for key, value in {**folders, **self.options()}.items()),
            ),
            cwd=folder,
            user=service_user(USER),
        )

    def ready(self) -> bool:
        if not port_answers(self.site.ports.mariadb):
            return False
        import pymysql

        try:
            pymysql.connect(
                host=HOST,
                port=self.site.ports.mariadb,
                user="root",
                password=self.site.identity.password,
                connect_timeout=2,
            ).close()
        except pymysql.Error:
            return False
        return True


def _tmpdir(folder: Path) -> str:
    """Servers that share a folder for temporary files delete each other's: each one that starts clears it."""
    return f"--tmpdir={folder / 'tmp'}"


def _program(name: str) -> str:
    found = program(name, *MARIADB_FOLDERS)
    if found is None:
        raise EnvironmentFault(
            f"mariadb: {name} is not there; run  sudo apt-get install --no-install-recommends mariadb-server"
        )
    return found
