"""An environment of its own for each peer: what they pin must not meet what onhand pins."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from onhand.stack.pins import cache_dir

FOLDER = Path(__file__).parent


def interpreter(peer: str, tell: Callable[[str], None]) -> str:
    """Python with what the peer's requirements.txt names; installed at first use and kept in the cache folder.

    A peer without that file runs in onhand's own environment.  Raises CalledProcessError when it cannot be installed.
    """
    wanted = FOLDER / peer / "requirements.txt"
    return environment(wanted, f"bench/{peer}", tell) if wanted.is_file() else sys.executable


def environment(requirements: Path, name: str, tell: Callable[[str], None]) -> str:
    """Python of a virtual environment with these requirements, kept under this name in the cache folder.

    Raises CalledProcessError when it cannot be installed.
    """
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = cache_dir() / f"{name}-{digest}"
    python = place / "bin" / "python"
    if not python.is_file():
        tell(f"{name} is installed into {place}, once")
        scratch = place.with_suffix(f".{os.getpid()}")
        subprocess.run([sys.executable, "-m", "venv", scratch], check=True)
        pip = [str(scratch / "bin" / "python"), "-I", "-m", "pip", "install", "--quiet", "--requirement"]
        subprocess.run([*pip, str(requirements)], check=True)
        shutil.rmtree(place, ignore_errors=True)
        scratch.rename(place)
    return str(python)
