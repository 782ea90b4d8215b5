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
    parser.add_argument("--registry", default="")
    parser.add_argument("--istio", type=Path)
    parser.add_argument("--envoy", type=Path)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_run(given))
    return 0


async def _run(given: argparse.Namespace) -> None:
    async with await Api.connect(kubeconfig=given.kubeconfig) as api:
        agent = Agent(
            api,
            given.certificates,
            load_balancer=not given.no_load_balancer,
            registry=given.registry,
            istio=given.istio,
            envoy=given.envoy,
        )
        running = asyncio.create_task(agent.run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await running


if __name__ == "__main__":
    sys.exit(main())
