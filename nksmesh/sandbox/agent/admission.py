"""AdmissionReview, in and out."""

from __future__ import annotations

import base64
import json
from typing import Any

from nksmesh.sandbox.agent.https_server import Request, Response

Review = dict[str, Any]


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
