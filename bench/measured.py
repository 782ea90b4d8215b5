"""Run nksmesh and write down what it was at most: ``measured.py FILE ARGUMENT...``.

The figure is VmHWM of /proc/self/status, in kB. wait4 and getrusage would count Helm, whom nksmesh waits for, and
whoever started us.
"""

from __future__ import annotations

import atexit
import sys
from pathlib import Path


def _write(file: Path) -> None:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    file.write_text(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), encoding="utf-8")


if __name__ == "__main__":
    atexit.register(_write, Path(sys.argv[1]))
    sys.argv[:2] = ["nksmesh"]
    from nksmesh.cli.main import main

    main()
