"""AdmissionReview in and out, and what Istio's validation refuses, in the plain cases.

These are enough to tell a working validator from none.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, Final

from nksmesh.sandbox.agent.https_server import Request, Response

Review = dict[str, Any]
Spec = dict[str, Any]

_MTLS_MODES: Final = {"UNSET", "DISABLE", "PERMISSIVE", "STRICT"}
_ACTIONS: Final = {"ALLOW", "DENY", "AUDIT", "CUSTOM"}


def review_of(request: Request) -> Review:
    """Read the review a request carries.

    Raises:
        ValueError: It carries none.
    """
    review: Review = json.loads(request.body)
    return review


def allowed(review: Review, patch: list[dict[str, Any]] | None = None) -> Response:
    """Allow, with a JSON patch or without."""
    answer: dict[str, Any] = {"uid": review["request"]["uid"], "allowed": True}
    if patch:
        answer["patchType"] = "JSONPatch"
        answer["patch"] = base64.b64encode(json.dumps(patch).encode()).decode()
    return _response(review, answer)


def denied(review: Review, message: str) -> Response:
    """Refuse, with a sentence."""
    status = {"status": "Failure", "message": message, "reason": "BadRequest", "code": 400}
    return _response(review, {"uid": review["request"]["uid"], "allowed": False, "status": status})


def _response(review: Review, answer: dict[str, Any]) -> Response:
    body = {"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": answer}
    return Response(json.dumps(body).encode())


def refusal(obj: dict[str, Any]) -> str:
    """Say why Istio would refuse an object; empty where it would not."""
    check = _CHECKS.get(obj.get("kind", ""))
    return check(obj.get("spec") or {}) if check else ""


def _gateway(spec: Spec) -> str:
    servers = spec.get("servers")
    if not servers:
        return "gateway must have at least one server"
    for server in servers:
        if not server.get("hosts"):
            return "server config must contain at least one host"
        if not (server.get("port") or {}).get("number"):
            return "port is required"
    return ""


def _virtual_service(spec: Spec) -> str:
    if not spec.get("hosts"):
        return "virtual service must have at least one host"
    if not any(spec.get(protocol) for protocol in ("http", "tls", "tcp")):
        return "http, tcp or tls must be provided in virtual service"
    return ""


def _destination_rule(spec: Spec) -> str:
    return "" if spec.get("host") else "invalid destination host: name must not be empty"


def _service_entry(spec: Spec) -> str:
    if not spec.get("hosts"):
        return "service entry must have at least one host"
    return "" if spec.get("ports") else "service entry must have at least one port"


def _peer_authentication(spec: Spec) -> str:
    mode = (spec.get("mtls") or {}).get("mode", "UNSET")
    return "" if mode in _MTLS_MODES else f"unrecognised mtls mode {mode}"


def _authorization_policy(spec: Spec) -> str:
    action = spec.get("action", "ALLOW")
    return "" if action in _ACTIONS else f"unknown action {action}"


_CHECKS: Final[dict[str, Callable[[Spec], str]]] = {
    "AuthorizationPolicy": _authorization_policy,
    "DestinationRule": _destination_rule,
    "Gateway": _gateway,
    "PeerAuthentication": _peer_authentication,
    "ServiceEntry": _service_entry,
    "VirtualService": _virtual_service,
}
