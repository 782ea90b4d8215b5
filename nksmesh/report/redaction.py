"""Take secrets out of text that is about to be shown.

Our own sentences hold none, but the words of other programs may: Helm, an API server and an HTTP library quote what
they were given.
"""

from __future__ import annotations

import re
from typing import Final

from nksmesh.domain.plan.diff import MASKED

REDACTED: Final = "[redacted]"

_NAMES: Final = (
    r"(?:(?:id|access|refresh|bearer|auth|service[-_]?account)[-_]?)?token(?:[-_]data)?"
    r"|passw(?:or)?d|passphrase|client[-_]secret|secret[-_]?(?:access[-_]?)?key|access[-_]?key(?:[-_]id)?|api[-_]?key"
    r"|(?:client|certificate|private|tls|ca|https)[-_](?:key|certificate|authority)(?:[-_]data)?|x-auth-token"
)

_RULES: Final = (
    # A key in PEM, also where its lines were joined by "\n" in a JSON string.
    (
        re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        REDACTED,
    ),
    # https://user:password@host, and https://token@host.
    (re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@\"']+@"), rf"\1{REDACTED}@"),
    (re.compile(r"\b(Authorization[\"']?\s*[:=]\s*[\"']?\w+)\s+[^\s\"',;]+", re.IGNORECASE), rf"\1 {REDACTED}"),
    # Elsewhere these may be words of a sentence ("Bearer authentication"): a token has a digit somewhere.
    (re.compile(r"\b(Bearer|Basic)\s+(?=\S*\d)(?!realm=)[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), REDACTED),
    # --password word, as a command line has it.
    (re.compile(rf"(--(?:{_NAMES}))\s+(?!{re.escape(REDACTED)})[^\s\"',;]+", re.IGNORECASE), rf"\1 {REDACTED}"),
    # token: word, "password": "word", client-key-data=word. What follows a path (ca-certificate: /x) is no secret.
    (
        re.compile(
            rf"(?<![A-Za-z0-9])((?:{_NAMES})[\"']?\s*[:=]\s*)(?!{re.escape(REDACTED)}|{re.escape(MASKED)}|/)"
            r"(\"[^\"]+\"|'[^']+'|[^\s\"',;&{}]+)",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
)


def redact(text: str) -> str:
    """Return the text with what looks like a secret replaced by ``[redacted]``."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
