from __future__ import annotations

from nksmesh.domain.common.errors import ClusterError, MeshError, RefusedError, UnreachableError


def test_an_error_has_a_message_a_hint_and_the_tools_own_words() -> None:
    error = MeshError("istiod failed", hint="Look at its log.", detail="exit code 1")
    assert (str(error), error.hint, error.detail) == ("istiod failed", "Look at its log.", "exit code 1")
    assert MeshError("x", hint="y").detail == ""


def test_a_refusal_keeps_the_status_and_is_not_taken_for_silence() -> None:
    refused = RefusedError("no", hint="ask", status=409, reason="Conflict", detail="words")
    assert (refused.status, refused.reason, refused.detail) == (409, "Conflict", "words")
    assert isinstance(refused, ClusterError)
    assert not isinstance(refused, UnreachableError)
