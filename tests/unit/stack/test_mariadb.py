from __future__ import annotations

from pathlib import Path

from onhand.stack.components.mariadb import Mariadb
from onhand.stack.site import Ports, Site


def test_installation_and_server_keep_temporary_files_in_a_folder_of_their_own(tmp_path: Path) -> None:
    """Each server that starts deletes the temporary tables it finds, also those of another that is just being made."""
    folders = {
        argument
        for name in ("one", "two")
        for mariadb in [Mariadb(Site.open(tmp_path / name, Ports.free()))]
        for argv in (mariadb.installation(), mariadb.command().argv)
        for argument in argv
        if argument.startswith("--tmpdir=")
    }
    assert len(folders) == 2
