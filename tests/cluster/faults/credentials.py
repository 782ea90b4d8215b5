"""Kubeconfigs of the tests' own: another client certificate, a token, another server."""

from __future__ import annotations

import base64
import datetime as dt
import json
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nksmesh.sandbox.certificates import certificate_pem, issue, key_pem, load_authority, make_authority
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.reader import Reader

Object = dict[str, Any]


def kubeconfig_with(sandbox: Sandbox, folder: Path, user: Object, **cluster: str) -> Path:
    """Write the sandbox's kubeconfig with another user, and with other words about its cluster."""
    document = yaml.safe_load(sandbox.kubeconfig.read_text())
    document["users"][0]["user"] = user
    document["clusters"][0]["cluster"].update(cluster)
    path = folder / "other-kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(document))
    return path


def own_user(sandbox: Sandbox) -> Object:
    user: Object = yaml.safe_load(sandbox.kubeconfig.read_text())["users"][0]["user"]
    return user


def stranger() -> Object:
    """Make a client certificate of an authority that the API server does not know."""
    return _user(*issue(make_authority("somebody else's"), "admin", "system:masters"))


def expired(sandbox: Sandbox) -> Object:
    """Make a client certificate of the sandbox's own authority, that was valid until yesterday."""
    folder = sandbox.layout.certificates
    authority = load_authority((folder / "ca.crt").read_bytes(), (folder / "ca.key").read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    names = [
        x509.NameAttribute(NameOID.COMMON_NAME, "admin"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=30))
        .not_valid_after(now - dt.timedelta(days=1))
        .sign(authority.key, hashes.SHA256())
    )
    return _user(certificate_pem(certificate), key_pem(key))


def token_of_account(cluster: Reader, name: str, rules: list[Object]) -> str:
    """Make an account that may do what the rules say, and a token for it."""
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    cluster.post(accounts, {"metadata": {"name": name}})
    cluster.post(f"{rbac}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    cluster.post(
        f"{rbac}/clusterrolebindings",
        {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
        },
    )
    answer = cluster.post(f"{accounts}/{name}/token", {"spec": {"expirationSeconds": 3600}})
    return str(answer["status"]["token"])


def everything_but(api_group: str, resource: str, verb: str) -> list[Object]:
    """Write the rules of an account that may do anything but one thing."""
    verbs = ["get", "list", "watch", "create", "update", "patch", "delete"]
    groups = {
        "": ["*"],
        "apps": ["*"],
        "batch": ["*"],
        "autoscaling": ["*"],
        "policy": ["*"],
        "coordination.k8s.io": ["leases"],
        "discovery.k8s.io": ["*"],
        "apiextensions.k8s.io": ["customresourcedefinitions"],
        "admissionregistration.k8s.io": ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
        "rbac.authorization.k8s.io": ["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
        "networking.istio.io": ["*"],
    }
    rules: list[Object] = [{"nonResourceURLs": ["*"], "verbs": ["get"]}]
    for group, resources in groups.items():
        if group == api_group:
            others = [one for one in resources if one != resource]
            rules += [{"apiGroups": [group], "resources": others, "verbs": ["*"]}] if others else []
            rules.append({"apiGroups": [group], "resources": [resource], "verbs": [v for v in verbs if v != verb]})
        else:
            rules.append({"apiGroups": [group], "resources": resources, "verbs": ["*"]})
    return rules


def _user(certificate: bytes, key: bytes) -> Object:
    return {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }
