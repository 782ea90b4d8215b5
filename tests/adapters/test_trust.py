"""Which certificates are trusted: the system's, a user's own beside them, and certifi's where a system has few."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import certifi
import pytest

from nksmesh.adapters.trust import load_trust
from nksmesh.sandbox.certificates import certificate_pem, make_authority

PUBLIC = 100


def subjects(trust: ssl.SSLContext) -> list[str]:
    return [str(certificate["subject"]) for certificate in trust.get_ca_certs()]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Make a bundle with one authority of a user's own."""
    bundle = tmp_path / "own.pem"
    bundle.write_bytes(certificate_pem(make_authority("Own authority").certificate))
    return bundle


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the system a store with the public authorities."""
    store = tmp_path / "system.pem"
    shutil.copy(certifi.where(), store)
    monkeypatch.setenv("SSL_CERT_FILE", str(store))
    return store


def test_a_users_own_authority_comes_beside_the_systems(system: Path, own: Path) -> None:
    assert "Own authority" not in str(subjects(load_trust({"SSL_CERT_FILE": str(system)})))
    both = subjects(load_trust({"SSL_CERT_FILE": str(system), "REQUESTS_CA_BUNDLE": str(own)}))
    assert "Own authority" in str(both)
    assert len(both) > PUBLIC


def test_where_the_system_has_few_the_public_ones_come_too(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    found = subjects(load_trust({"SSL_CERT_FILE": str(own)}))
    assert "Own authority" in str(found)
    assert len(found) > PUBLIC


def test_a_system_without_any_has_the_public_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    assert len(subjects(load_trust({}))) > PUBLIC
