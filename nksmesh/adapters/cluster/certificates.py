"""When certificates and tokens end."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def credential_ends(user: Mapping[str, Any]) -> datetime | None:
    """Tell when a kubeconfig's credential ends: its client certificate, or its token where that is a JWT.

    Args:
        user: The credentials, as a kubeconfig has them; paths are absolute.

    Returns:
        None where it does not say, or where it is had anew by itself (exec, tokenFile).
    """
    if "exec" in user or "tokenFile" in user:
        return None
    try:
        if data := user.get("client-certificate-data"):
            return certificate_ends(base64.b64decode(data).decode())
        if path := user.get("client-certificate"):
            return certificate_ends(Path(path).read_text())
        return _token_ends(str(user["token"])) if user.get("token") else None
    except (OSError, ValueError):
        return None  # what cannot be read ends the run elsewhere, with its own words


def certificate_ends(pem: str) -> datetime | None:
    """Tell when the first of some certificates ends; None where there is none."""
    from cryptography import x509  # noqa: PLC0415 - nothing but a check looks into certificates

    try:
        return min((found.not_valid_after_utc for found in x509.load_pem_x509_certificates(pem.encode())), default=None)
    except ValueError:
        return None


def _token_ends(token: str) -> datetime | None:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return datetime.fromtimestamp(float(claims["exp"]), UTC)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, OSError, binascii.Error):
        return None
