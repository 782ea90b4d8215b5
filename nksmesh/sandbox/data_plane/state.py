"""What the agent writes down of the data plane, and the sandbox's commands read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nksmesh.adapters.files.private import write_private
from nksmesh.sandbox.layout import Layout
from nksmesh.sandbox.results import DataPlaneStatus, PlayedImage, Relay

STATE_FILE: Final = "data-plane.json"
"""In the folder that the agent works in."""

_LOOPBACK: Final = "127.0.0.1"


class Written:
    """The file, as the agent has it."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}
        try:
            known = json.loads(Path(STATE_FILE).read_text(encoding="utf-8"))
            self.relays = {str(address): int(port) for address, port in known["relays"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.relays = {}

    def write(self, control_plane: str, images: Mapping[tuple[str, str], int]) -> None:
        """Write what there is, where it has changed; each image comes with what runs in its containers.

        Raises:
            OSError: It cannot be written.
        """
        state = {
            "control_plane": control_plane,
            "images": [[image, kind, count] for (image, kind), count in sorted(images.items())],
            "relays": self.relays,
        }
        if state != self._last:
            write_private(Path(STATE_FILE), json.dumps(state))
            self._last = state


def read_data_plane(layout: Layout) -> DataPlaneStatus:
    """Read what a sandbox's data plane has; nothing where its agent has not yet said."""
    try:
        state = json.loads((layout.run / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        state = {"control_plane": "", "images": [], "relays": {}}
    return DataPlaneStatus(
        control_plane=state["control_plane"],
        images=tuple(PlayedImage(image=i, kind=kind, containers=count) for i, kind, count in state["images"]),
        relays=tuple(Relay(address=a, relay=f"{_LOOPBACK}:{port}") for a, port in sorted(state["relays"].items())),
    )
