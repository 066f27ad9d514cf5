"""Long lives of the chain in memory: `python -m tests.machine --lives 500 --steps 120 --seed 7`."""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
import time

from tests.machine.run import live

AT_ONCE = 50


def main() -> int:
    """Exit 0: all of them ended right; 1: the shortest life that does not, to be played by hand, is printed."""
    parser = argparse.ArgumentParser(prog="python -m tests.machine", description=__doc__)
    parser.add_argument("--lives", type=int, default=500)
    parser.add_argument("--steps", type=int, default=120, help="of one life, at most")
    parser.add_argument("--seed", type=int, default=None, help="of the first lives; by lot when not given")
    wanted = parser.parse_args()
    first = secrets.randbelow(1 << 30) if wanted.seed is None else wanted.seed
    logging.disable(logging.WARNING)  # of processes that are killed all the time
    began = time.monotonic()
    for number, done in enumerate(range(0, wanted.lives, AT_ONCE)):
        of, lives = first + number, min(AT_ONCE, wanted.lives - done)
        try:
            live(lives, steps=wanted.steps, of=of)
        except Exception:
            print(f"wrong: repeat with --seed {of} --lives {lives} --steps {wanted.steps}", file=sys.stderr)
            raise
        print(f"seed {of}: {done + lives} lives right, {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
