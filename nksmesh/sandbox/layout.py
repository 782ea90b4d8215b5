"""Where a sandbox keeps its files, what the layout of its home is, and its settings."""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from platformdirs import user_data_path

from nksmesh.adapters.files.private import write_private
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.paths import at_home
from nksmesh.sandbox.releases import OLDEST, Kubernetes

DEFAULT_NAME: Final = "default"
HOME_VARIABLE: Final = "NKSMESH_SANDBOX_HOME"

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True)
class Layout:
    """The files of one sandbox.

    Every program runs in ``run``, so that sockets have short relative names: a socket's path may not
    be longer than 107 bytes, and a home may be anywhere.
    """

    name: str
    home: Path

    @property
    def kubeconfig(self) -> Path:
        """The file users and tests point Helm and nksmesh at."""
        return self.home / "kubeconfig"

    @property
    def context(self) -> str:
        """The kubeconfig context's name."""
        return "nksmesh-sandbox" if self.name == DEFAULT_NAME else f"nksmesh-sandbox-{self.name}"

    @property
    def settings(self) -> Path:
        """What ``up`` decided: the port, the options."""
        return self.home / "sandbox.json"

    @property
    def lock(self) -> Path:
        """Held while a sandbox is brought up, down or deleted; beside the home, so that delete may take it."""
        return self.home.with_name(f".{self.home.name}.lock")

    @property
    def certificates(self) -> Path:
        """Keys and certificates, and the programs' own kubeconfig files."""
        return self.home / "certificates"

    @property
    def data(self) -> Path:
        """Where etcd keeps the cluster."""
        return self.home / "etcd"

    @property
    def snapshot(self) -> Path:
        """A copy of ``data`` as it was when the cluster was first up: what a reset goes back to."""
        return self.home / "etcd-empty"

    @property
    def run(self) -> Path:
        """The programs' working folder: sockets, and configuration they read."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        """One log file a program."""
        return self.home / "logs"

    def log(self, part: str) -> Path:
        """The log file of one part."""
        return self.logs / f"{part}.log"

    def process(self, part: str) -> Path:
        """The file that says which process is this part."""
        return self.run / f"{part}.pid.json"

    @property
    def registry(self) -> Path:
        """What the registry keeps: its images, and who may log in."""
        return self.home / "registry"

    @property
    def docker_config(self) -> Path:
        """The folder with the login to the registry, as DOCKER_CONFIG names one."""
        return self.home / "docker"

    @property
    def exists(self) -> bool:
        """Whether the sandbox has ever been brought up."""
        return self.settings.exists()


def layout_of(name: str = DEFAULT_NAME) -> Layout:
    """Lay out the sandbox of this name.

    Raises:
        ConfigError: The name cannot be a folder's and a context's name.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be a sandbox's name",
            hint="Use up to 40 lower-case letters, digits and hyphens, such as --name try-1.",
        )
    return Layout(name=name, home=_homes() / name)


def sandbox_names() -> list[str]:
    """Name every sandbox that exists on this machine."""
    homes = _homes()
    if not homes.is_dir():
        return []
    return sorted(home.name for home in homes.iterdir() if (home / "sandbox.json").exists())


def _homes() -> Path:
    override = os.environ.get(HOME_VARIABLE)
    if override:
        return at_home(override).absolute()
    return user_data_path("nksmesh") / "sandboxes"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What ``up`` decided once and every later command goes by.

    Attributes:
        port: The API server's, on 127.0.0.1.
        kubernetes: What the cluster is of, from its first start on.
        load_balancer: Whether Services of type LoadBalancer get addresses.
        registry_port: The registry's, on 127.0.0.1; 0 where there is none.
        data_plane: Whether Istio's pods have processes.
    """

    port: int
    kubernetes: Kubernetes = OLDEST
    load_balancer: bool = True
    registry_port: int = 0
    data_plane: bool = False

    @property
    def server(self) -> str:
        """The API server's address."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def registry(self) -> str:
        """The registry's host, as images name it; empty where there is none."""
        return f"127.0.0.1:{self.registry_port}" if self.registry_port else ""


def load_settings(layout: Layout) -> Settings | None:
    """Read the settings; None where the sandbox was never up.

    Raises:
        ConfigError: The file is not one of ours.
    """
    try:
        content = json.loads(layout.settings.read_text(encoding="utf-8"))
        return Settings(
            port=int(content["port"]),
            # the settings of a sandbox from before there was a choice do not say it
            kubernetes=Kubernetes(content.get("kubernetes", OLDEST)),
            load_balancer=bool(content["load_balancer"]),
            registry_port=int(content.get("registry_port", 0)),
            data_plane=bool(content.get("data_plane", False)),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"the settings of sandbox {layout.name} cannot be read: {error}",
            hint=f"Run nksmesh sandbox delete --name {layout.name}, and then nksmesh sandbox up --name {layout.name}.",
        ) from error


def save_settings(layout: Layout, settings: Settings) -> None:
    """Write the settings."""
    write_private(layout.settings, json.dumps(asdict(settings)) + "\n")


def free_port() -> int:
    """Find a port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
