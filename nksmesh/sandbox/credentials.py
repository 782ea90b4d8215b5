"""The sandbox's keys, certificates and kubeconfig files: the user's, and those of each program."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Final

from nksmesh.adapters.files.private import write_private
from nksmesh.sandbox.documents import to_yaml
from nksmesh.sandbox.layout import Layout
from nksmesh.sandbox.stages import FAILURES_SERVICE

API_SERVER_NAMES: Final = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
CLIENTS: Final = {
    "admin": ("nksmesh-sandbox-admin", "system:masters"),
    "agent": ("nksmesh-sandbox-agent", "system:masters"),
    "kwok": ("nksmesh-sandbox-kwok", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
}


def write_certificates(folder: Path, *, service_address: str) -> None:
    """Write every key and certificate of a sandbox, unless they are there.

    Args:
        folder: Where to; made readable to its owner alone.
        service_address: The cluster address of the Service ``kubernetes``.
    """
    if (folder / "complete").exists():
        return
    from nksmesh.sandbox.certificates import certificate_pem, issue, key_pem, make_authority, write_pair

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = make_authority("nksmesh-sandbox")
    write_pair(folder / "ca", (certificate_pem(authority.certificate), key_pem(authority.key)))
    servers = {
        "kube-apiserver": ("127.0.0.1", service_address, *API_SERVER_NAMES),
        "agent-server": (f"{FAILURES_SERVICE[1]}.{FAILURES_SERVICE[0]}.svc",),
    }
    for name, hosts in servers.items():
        write_pair(folder / name, issue(authority, name, hosts=hosts))
    for name, (user, group) in CLIENTS.items():
        write_pair(folder / name, issue(authority, user, group))
    accounts = make_authority("service-accounts")
    write_private(folder / "service-accounts.key", key_pem(accounts.key))
    write_private(folder / "complete", b"")


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
