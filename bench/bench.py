"""``make bench``: what nksmesh promises of its speed and size, measured on this machine against Helm itself."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> int:
    """Make the checkout importable, then measure."""
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from bench.command import run  # noqa: PLC0415 - it is found there only from here on

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
