"""The sandbox's registry: distribution on loopback, with one login of its own that is made on its first start."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from pathlib import Path
from typing import Final

from nksmesh.adapters.files.private import write_private
from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.images.login import Login, config_of
from nksmesh.sandbox.control_plane import REGISTRY_CONFIGURATION
from nksmesh.sandbox.documents import to_yaml
from nksmesh.sandbox.layout import Layout, Settings

_FIRST_START_SECONDS: Final = 30.0


async def prepare(layout: Layout, settings: Settings, program: Path) -> None:
    """Write the registry's configuration, and have it make its login unless there is one.

    Raises:
        ClusterError: It does not start.
    """
    passwords = layout.registry / "htpasswd"
    configuration = {
        "version": "0.1",
        "log": {"level": "warn", "formatter": "json", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(layout.registry)}, "delete": {"enabled": True}},
        "http": {"addr": settings.registry, "secret": secrets.token_urlsafe(16)},
        "auth": {"htpasswd": {"realm": "nksmesh-sandbox", "path": str(passwords)}},
    }
    write_private(layout.run / REGISTRY_CONFIGURATION, to_yaml([configuration]))
    login = layout.docker_config / "config.json"
    if login.exists() and passwords.exists():
        return
    for folder in (layout.registry, layout.docker_config):
        folder.mkdir(mode=0o700, exist_ok=True)
    passwords.unlink(missing_ok=True)
    write_private(login, json.dumps(config_of(settings.registry, await _new_login(layout, program))))


async def answers(settings: Settings) -> bool:
    """Tell whether something listens where the registry does."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", settings.registry_port)
    except OSError:
        return False
    writer.close()
    return True


async def _new_login(layout: Layout, program: Path) -> Login:
    """Start the registry without a list of passwords: it makes a login, writes its hash, and says it once.

    This start is one of its own, so that the password is in no log.
    """
    process = await asyncio.create_subprocess_exec(
        str(program),
        "serve",
        str(layout.run / REGISTRY_CONFIGURATION),
        env={"OTEL_TRACES_EXPORTER": "none"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = process.stdout
    said = ""
    try:
        async with asyncio.timeout(_FIRST_START_SECONDS):
            while output is not None and (line := await output.readline()):
                said = line.decode(errors="replace").strip()
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    told = json.loads(said)
                    return Login(source=layout.name, username=told["user"], password=told["password"])
    except TimeoutError:
        said = f"nothing of a login within {_FIRST_START_SECONDS:.0f} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    raise ClusterError(
        f"the registry of sandbox {layout.name} makes no login",
        hint=f"Run nksmesh sandbox delete --name {layout.name}, and start it again.",
        detail=said,
    )
