"""``python -m nksmesh.sandbox.agent``: started by the sandbox, in its folder of sockets."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

from nksmesh.adapters.cluster.api import Api
from nksmesh.sandbox.agent.agent import Agent


def main() -> int:
    """Run until asked to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--certificates", type=Path, required=True)
    parser.add_argument("--no-load-balancer", action="store_true")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_run(given.kubeconfig, given.certificates, load_balancer=not given.no_load_balancer))
    return 0


async def _run(kubeconfig: Path, certificates: Path, *, load_balancer: bool) -> None:
    async with await Api.connect(kubeconfig=kubeconfig) as api:
        agent = asyncio.create_task(Agent(api, certificates, load_balancer=load_balancer).run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, agent.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await agent


if __name__ == "__main__":
    sys.exit(main())
