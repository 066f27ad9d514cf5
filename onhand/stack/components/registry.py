"""The Apicurio schema registry, on an H2 file so that schemas survive a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onhand.stack.component import HOST, Command
from onhand.stack.components.http import answers_ok
from onhand.stack.components.kafka import QUICK_START
from onhand.stack.site import Site


@dataclass(frozen=True)
class Registry:
    site: Site
    java: Path
    application: Path
    name: str = "registry"
    needs: tuple[str, ...] = ()

    @property
    def ports(self) -> Mapping[str, int]:
        return {"HTTP": self.site.ports.registry, "management": self.site.ports.registry_management}

    def prepare(self) -> None:
        (self.site.data_dir / "registry").mkdir(exist_ok=True)

    def options(self) -> dict[str, object]:
        """Java system properties."""
        return {
            "quarkus.http.host": HOST,
            "quarkus.http.port": self.site.ports.registry,
            "quarkus.management.host": HOST,
            "quarkus.management.port": self.site.ports.registry_management,
            "quarkus.http.access-log.enabled": "false",
            "quarkus.banner.enabled": "false",
            # without these two all schemas are gone after a restart
            "apicurio.storage.sql.kind": "h2",
            "apicurio.datasource.url": f"jdbc:h2:file:{self.site.data_dir / 'registry' / 'registry'}",
        }

    def command(self) -> Command:
        return Command(
            argv=(
                *(str(self.java), "-Xms64m", "-Xmx384m", "-XX:+ExitOnOutOfMemoryError"),
                # it answers a few questions at the start of each process: what it costs is its own start
                *QUICK_START,
                *(f"-D{key}={value}" for key, value in self.options().items()),
                *("-jar", str(self.application / "quarkus-run.jar")),
            ),
            cwd=self.site.data_dir,
        )

    def ready(self) -> bool:
        return answers_ok(f"http://{HOST}:{self.site.ports.registry}/apis/ccompat/v7/subjects")
