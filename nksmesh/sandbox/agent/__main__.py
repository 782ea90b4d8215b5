"""``python -m nksmesh.sandbox.agent``: started by the sandbox, in its folder of sockets."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

from nksmesh.sandbox.agent.agent import Agent, Options
from nksmesh.sandbox.api import ClusterApi


def main() -> int:
    """Run until asked to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--certificates", type=Path, required=True)
    parser.add_argument("--no-load-balancer", action="store_true")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    options = Options(server=given.server, certificates=given.certificates, load_balancer=not given.no_load_balancer)
    asyncio.run(_run(options))
    return 0


async def _run(options: Options) -> None:
    async with ClusterApi(options.server, options.certificates, "agent") as api:
        agent = asyncio.create_task(Agent(api, options).run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, agent.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await agent


if __name__ == "__main__":
    sys.exit(main())
