"""The sandbox's kubeconfig files: one for the user, one for each program."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from nksmesh.sandbox.certificates import CLIENTS
from nksmesh.sandbox.documents import to_yaml, write_private

if TYPE_CHECKING:
    from pathlib import Path

    from nksmesh.sandbox.layout import Layout


def write_kubeconfigs(layout: Layout, server: str) -> None:
    """Write the user's file into the sandbox's home and the programs' beside their certificates."""
    folder = layout.certificates
    for client in CLIENTS:
        if client == "admin":
            continue
        user = {"client-certificate": f"{folder}/{client}.crt", "client-key": f"{folder}/{client}.key"}
        cluster = {"server": server, "certificate-authority": f"{folder}/ca.crt"}
        write_private(program_kubeconfig(layout, client), _document(client, cluster, user))
    # the user's file carries its credentials, so that it can be copied and still works
    cluster = {"server": server, "certificate-authority-data": _data(folder / "ca.crt")}
    user = {
        "client-certificate-data": _data(folder / "admin.crt"),
        "client-key-data": _data(folder / "admin.key"),
    }
    write_private(layout.kubeconfig, _document(layout.context, cluster, user))


def program_kubeconfig(layout: Layout, client: str) -> Path:
    """Name the kubeconfig file of one of the sandbox's programs."""
    return layout.certificates / f"{client}.kubeconfig"


def _document(name: str, cluster: dict[str, Any], user: dict[str, Any]) -> str:
    return to_yaml(
        [
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": name, "cluster": cluster}],
                "users": [{"name": name, "user": user}],
                "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
                "current-context": name,
            }
        ]
    )


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
