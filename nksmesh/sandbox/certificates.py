"""Authorities and certificates, made and read as PEM: the sandbox's own, and those of an istiod's stand-in."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nksmesh.adapters.files.private import write_private

_YEARS = dt.timedelta(days=3650)
_SKEW = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Authority:
    """A certificate authority that can sign."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_authority(common_name: str, organization: str = "") -> Authority:
    """Make a self-signed authority, valid for ten years."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _subject(common_name, organization)
    certificate = (
        _unsigned(name, name, key, signs=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def issue(
    authority: Authority, common_name: str, organization: str = "", *, hosts: Sequence[str] = ()
) -> tuple[bytes, bytes]:
    """Issue a certificate and its key, as PEM: a server's where there are hosts, otherwise a client's."""
    key = ec.generate_private_key(ec.SECP256R1())
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _unsigned(_subject(common_name, organization), authority.certificate.subject, key, signs=False)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    if hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(authority.key, hashes.SHA256())
    return certificate_pem(certificate), key_pem(key)


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, signs: bool
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _YEARS)
        .add_extension(x509.BasicConstraints(ca=signs, path_length=None), critical=True)
        .add_extension(_usage(signs=signs), critical=True)
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Encode a certificate."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Encode a private key, unencrypted, in the one form that Kubernetes takes a service account key."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def load_authority(certificate: bytes, key: bytes) -> Authority:
    """Load an authority from PEM.

    Raises:
        ValueError: It is not PEM, or the key is of a kind we never make.
    """
    private = serialization.load_pem_private_key(key, None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        msg = "the authority's key is not an elliptic curve key"
        raise ValueError(msg)  # noqa: TRY004 - a wrong value in a file, not a wrong type in the code
    return Authority(x509.load_pem_x509_certificate(certificate), private)


def write_pair(stem: Path, pair: tuple[bytes, bytes]) -> None:
    """Write a certificate and its key beside each other, as the stem and ``.crt`` or ``.key``."""
    for suffix, content in zip((".crt", ".key"), pair, strict=True):
        write_private(stem.with_name(f"{stem.name}{suffix}"), content)


def _subject(common_name: str, organization: str) -> x509.Name:
    attributes = {NameOID.ORGANIZATION_NAME: organization, NameOID.COMMON_NAME: common_name}
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes.items() if value])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
