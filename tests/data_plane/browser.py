"""A page as a browser has it: the document after the page's own scripts ran."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SECONDS = 60


def browsed(url: str, folder: Path) -> str:
    """Open a page in Chromium, and return its document; where there is no Chromium the test is skipped.

    Args:
        folder: Where the browser may keep what it wants to.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    ran = subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",  # its sandbox does not let root run it
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-proxy-server",
            f"--user-data-dir={folder}",
            "--virtual-time-budget=10000",
            "--dump-dom",
            url,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
