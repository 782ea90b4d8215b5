"""Which certificates servers other than API servers are trusted by."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import certifi

from nksmesh.domain.common.errors import ConfigError

_BUNDLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PUBLIC: Final = 50
"""A system with so many authorities has the public ones (Debian 12 has 140); fewer are a user's own."""


def load_trust(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Load the certificates that the system and the user's own bundle have, and certifi's where these are few.

    To parse a hundred takes some 40 ms, without Python's lock: in a thread of its own it costs the others no time.

    Args:
        environ: Where SSL_CERT_FILE and its like are looked up.

    Raises:
        ConfigError: A bundle is not one.
    """
    trust = ssl.create_default_context()
    known = trust.cert_store_stats()["x509_ca"]
    if known < _PUBLIC:
        trust.load_verify_locations(certifi.where())
    named = {environ[name]: name for name in reversed(_BUNDLES) if environ.get(name)}
    if known:  # this one is among them: OpenSSL reads it by itself, and says nothing where it is no bundle
        named.pop(ssl.get_default_verify_paths().cafile or "", None)
    for path, name in named.items():
        try:
            # requests takes a folder of hashed certificates in the same variable.
            trust.load_verify_locations(**{"capath" if Path(path).is_dir() else "cafile": path})
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"{name} points to {path}, which is not a certificate bundle: {error.strerror or error}",
                hint=f"Point {name} to a PEM file, or unset it.",
            ) from error
    return trust
