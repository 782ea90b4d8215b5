"""What ``up`` decided once and every later command goes by."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass

from nksmesh.adapters.files.private import write_private
from nksmesh.domain.common.errors import ConfigError
from nksmesh.sandbox.layout import Layout


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A sandbox's settings.

    Attributes:
        port: The API server's, on 127.0.0.1.
        load_balancer: Whether Services of type LoadBalancer get addresses.
    """

    port: int
    load_balancer: bool = True

    @property
    def server(self) -> str:
        """The API server's address."""
        return f"https://127.0.0.1:{self.port}"


def load(layout: Layout) -> Settings | None:
    """Read the settings; None where the sandbox was never up.

    Raises:
        ConfigError: The file is not one of ours.
    """
    try:
        content = json.loads(layout.settings.read_text(encoding="utf-8"))
        return Settings(port=int(content["port"]), load_balancer=bool(content["load_balancer"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"the settings of sandbox {layout.name} cannot be read: {error}",
            hint=f"run nksmesh sandbox delete --name {layout.name}, then nksmesh sandbox up, to create it again",
        ) from error


def save(layout: Layout, settings: Settings) -> None:
    """Write the settings."""
    write_private(layout.settings, json.dumps(asdict(settings)) + "\n")


def free_port() -> int:
    """Find a port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
