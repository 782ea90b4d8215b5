"""Admission webhooks of the tests' own: a TLS server on loopback that the API server asks by URL."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nksmesh.sandbox.certificates import certificate_pem, issue, make_authority
from tests.cluster.reader import Reader

Object = dict[str, Any]
Verdict = Callable[[Object], str]
"""Takes the reviewed object (of a deletion, what is to go); answers why it is denied, or nothing."""

_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


class Policy:
    """A policy engine: answers with what ``verdict`` says; ``seen`` has the names of what it was asked about."""

    def __init__(self, verdict: Verdict, folder: Path, *, spares_dry_runs: bool = False) -> None:
        self.seen: list[str] = []
        self.asked = threading.Event()
        authority = make_authority("policy")
        certificate, key = issue(authority, "policy", hosts=("127.0.0.1",))
        self.authority = base64.b64encode(certificate_pem(authority.certificate)).decode()
        pair = folder / "policy.pem"
        pair.touch(mode=0o600)
        pair.write_bytes(certificate + key)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pair)
        seen, asked_for_once = self.seen, self.asked

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked = review["request"]
                reviewed = asked["object"] or asked["oldObject"]
                seen.append(str(asked.get("name") or reviewed["metadata"].get("generateName", "")))
                asked_for_once.set()
                denied = "" if spares_dry_runs and asked.get("dryRun") else verdict(reviewed)
                answer: Object = {"uid": asked["uid"], "allowed": not denied}
                if denied:
                    answer["status"] = {"code": 403, "message": denied}
                body = json.dumps({**review, "request": None, "response": answer}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def policy(
    cluster: Reader,
    folder: Path,
    verdict: Verdict,
    *,
    name: str = "pods.policy.example",
    namespace: str = "istio-system",
    resource: str = "pods",
    group: str = "",
    operation: str = "CREATE",
    side_effects: str = "None",
    failure_policy: str = "Fail",
    spares_dry_runs: bool = False,
) -> Iterator[Policy]:
    """Have every creation (or another operation) of a resource reviewed, for the time of a block.

    What is in a namespace is reviewed in this one alone. ``spares_dry_runs`` lets every dry run through, so that
    what is refused is refused only when it is written.
    """
    engine = Policy(verdict, folder, spares_dry_runs=spares_dry_runs)
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": name,
                "clientConfig": {"url": f"https://127.0.0.1:{engine.port}/", "caBundle": engine.authority},
                "rules": [
                    {"operations": [operation], "apiGroups": [group], "apiVersions": ["v1"], "resources": [resource]}
                ],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "sideEffects": side_effects,
                "failurePolicy": failure_policy,
                "timeoutSeconds": 20,
                "admissionReviewVersions": ["v1"],
            }
        ],
    }
    try:
        cluster.post(_CONFIGURATIONS, configuration)
        yield engine
    finally:
        cluster.delete(f"{_CONFIGURATIONS}/{name}")
        engine.close()
