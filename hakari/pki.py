"""Certificates for the broker's TLS: an authority, the broker's certificate, one a client, what was revoked. Pure.

Guaranteed: keys are ECDSA P-256; a client's certificate names one identity in its common name and takes nothing else
over from a request; it cannot pass as a server's, nor a server's as a client's, and neither as an authority's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hakari.errors import BadConfiguration, DataProblem
from hakari.names import check_host

AUTHORITY_DAYS = 3650
SERVER_DAYS = 730
CLIENT_DAYS = 90
MAX_DAYS = 3650
MAX_PEM_BYTES = 16_384
MAX_HOSTS = 32
MAX_COMMON_NAME_CHARS = 64
DAY_S = 86_400
# Clocks of devices differ: a certificate that was made just now is valid for one that is a little behind.
SLACK = timedelta(hours=1)


class CertificateInvalid(DataProblem):
    """A certificate, a key or a request for one is not what it must be."""


class NotIssuable(BadConfiguration):
    """What a certificate is asked for cannot stand in one."""


class Authority(NamedTuple):
    """Who signs: its certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Revoked(NamedTuple):
    """A certificate that holds no longer."""

    serial: int
    when: datetime


def new_key() -> ec.EllipticCurvePrivateKey:
    """A new private key."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as unencrypted PEM PKCS8."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pem_of(made: x509.Certificate | x509.CertificateSigningRequest | x509.CertificateRevocationList) -> bytes:
    """What is handed around, as PEM."""
    return made.public_bytes(Encoding.PEM)


def new_authority(name: str, now: datetime, days: float = AUTHORITY_DAYS) -> Authority:
    """An authority of its own, which signs certificates of clients and servers, never of other authorities."""
    key = new_key()
    subject = _subject(name)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    made = (
        _builder(subject, subject, key.public_key(), now, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, SHA256())
    )
    return Authority(made, key)


def server_certificate(
    authority: Authority, public: ec.EllipticCurvePublicKey, hosts: Sequence[str], now: datetime, days: float
) -> x509.Certificate:
    """The broker's certificate for `hosts`, names or IP addresses by which clients reach it."""
    if not 1 <= len(hosts) <= MAX_HOSTS:
        raise NotIssuable(f"{len(hosts)} hosts are given; give 1 to {MAX_HOSTS} names or addresses of the broker")
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    builder = _leaf(authority, public, hosts[0][:MAX_COMMON_NAME_CHARS], now, days, ExtendedKeyUsageOID.SERVER_AUTH)
    return builder.add_extension(names, critical=False).sign(authority.key, SHA256())


def client_certificate(
    authority: Authority, public: ec.EllipticCurvePublicKey, name: str, now: datetime, days: float = CLIENT_DAYS
) -> x509.Certificate:
    """The certificate of the client whose user name and client id at the broker is `name`."""
    return _leaf(authority, public, name, now, days, ExtendedKeyUsageOID.CLIENT_AUTH).sign(authority.key, SHA256())


def request(key: ec.EllipticCurvePrivateKey, name: str) -> x509.CertificateSigningRequest:
    """A request for a certificate that names `name`."""
    return x509.CertificateSigningRequestBuilder().subject_name(_subject(name)).sign(key, SHA256())


def public_of_request(pem: bytes, name: str) -> ec.EllipticCurvePublicKey:
    """The public key in a request, made by who has the private one, for `name` alone. Errors: CertificateInvalid."""
    try:
        if len(pem) > MAX_PEM_BYTES:
            raise CertificateInvalid(f"the certificate request is larger than {MAX_PEM_BYTES} bytes; make it again")
        found = x509.load_pem_x509_csr(pem)
        public = found.public_key()
        if not found.is_signature_valid or not isinstance(public, ec.EllipticCurvePublicKey):
            raise CertificateInvalid("the certificate request is not signed by its own P-256 key; make it again")
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise CertificateInvalid(f"the certificate request cannot be read: {error}; make it again") from error
    if found.subject != _subject(name) or not isinstance(public.curve, ec.SECP256R1):
        raise CertificateInvalid(
            f"the certificate request is for {found.subject.rfc4514_string()[:80]!r} with {public.curve.name};"
            f" it must be for CN={name} with a P-256 key"
        )
    return public


def revocations(
    authority: Authority, revoked: Iterable[Revoked], number: int, now: datetime
) -> x509.CertificateRevocationList:
    """The list that the broker refuses certificates by; it holds as long as the authority does.

    One that ends earlier would lock everybody out on the day it ends.
    """
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now - SLACK)
        .next_update(authority.certificate.not_valid_after_utc)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.serial).revocation_date(one.when).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(authority.key, SHA256())


def certificate_of(pem: bytes) -> x509.Certificate:
    """The certificate in `pem`. Errors: CertificateInvalid."""
    try:
        return x509.load_pem_x509_certificate(pem[: MAX_PEM_BYTES + 1])
    except ValueError as error:
        raise CertificateInvalid(f"no PEM certificate: {error}") from error


def key_of(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """The P-256 private key in `pem`. Errors: CertificateInvalid."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateInvalid("no unencrypted PEM private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateInvalid("the private key is of another kind than P-256")
    return key


def check_pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """Returns where the certificate is this key's; CertificateInvalid otherwise."""
    if certificate.public_key() != key.public_key():
        raise CertificateInvalid("the certificate is of another key; give the one that was issued for this key")


def common_name(certificate: x509.Certificate) -> str:
    """Whom the certificate names."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def until(certificate: x509.Certificate) -> datetime:
    """The last instant at which the certificate holds, UTC."""
    return certificate.not_valid_after_utc


def days_left(pem: bytes, now: datetime) -> float:
    """Days for which the certificate in `pem` still holds; negative after its end. Errors: CertificateInvalid."""
    return (until(certificate_of(pem)) - now).total_seconds() / DAY_S


def _leaf(
    authority: Authority,
    public: ec.EllipticCurvePublicKey,
    name: str,
    now: datetime,
    days: float,
    purpose: x509.ObjectIdentifier,
) -> x509.CertificateBuilder:
    issuer = authority.certificate
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        _builder(_subject(name), issuer.subject, public, now, days, issuer.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime,
    days: float,
    at_most: datetime | None = None,
) -> x509.CertificateBuilder:
    if not 0 < days <= MAX_DAYS:
        raise NotIssuable(f"a certificate cannot hold for {days} days; give up to {MAX_DAYS}")
    end = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLACK)
        .not_valid_after(end if at_most is None else min(end, at_most))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=signs_certificates,
        crl_sign=signs_certificates, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _subject(name: str) -> x509.Name:
    if not 1 <= len(name) <= MAX_COMMON_NAME_CHARS or not name.isprintable():
        raise NotIssuable(f"name {name[:80]!r} must have 1 to {MAX_COMMON_NAME_CHARS} printable characters")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    check_host(host, "host")
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
