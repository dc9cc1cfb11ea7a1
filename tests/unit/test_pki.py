"""Certificates: each for its purpose alone, a request that is believed in nothing but its key, an end that is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from hakari import pki
from hakari.pki import CertificateInvalid, NotIssuable, Revoked

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
AUTHORITY = pki.new_authority("plant.example", NOW)
STORE = Store([AUTHORITY.certificate])
KEY = pki.new_key()


def purposes(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_a_client_is_named_and_nothing_else() -> None:
    made = pki.client_certificate(AUTHORITY, KEY.public_key(), "sola-e1", NOW)
    assert pki.common_name(made) == "sola-e1"
    assert purposes(made) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert made.not_valid_after_utc - NOW == timedelta(days=90)
    made.verify_directly_issued_by(AUTHORITY.certificate)
    with pytest.raises(VerificationError):
        PolicyBuilder().store(STORE).time(NOW).build_server_verifier(x509.DNSName("sola-e1")).verify(made, [])


def test_a_server_is_believed_under_its_hosts_alone() -> None:
    made = pki.server_certificate(AUTHORITY, KEY.public_key(), ["broker.plant.example", "10.0.0.7"], NOW, 730)
    verifier = PolicyBuilder().store(STORE).time(NOW)
    assert verifier.build_server_verifier(x509.DNSName("broker.plant.example")).verify(made, [])[-1] is not None
    with pytest.raises(VerificationError):
        verifier.build_server_verifier(x509.DNSName("other.plant.example")).verify(made, [])
    assert purposes(made) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_no_certificate_outlives_its_authority() -> None:
    late = NOW + timedelta(days=pki.AUTHORITY_DAYS - 10)
    made = pki.client_certificate(AUTHORITY, KEY.public_key(), "sola-e1", late)
    assert made.not_valid_after_utc == AUTHORITY.certificate.not_valid_after_utc


def test_a_request_gives_its_key() -> None:
    pem = pki.pem_of(pki.request(KEY, "sola-e1"))
    assert pki.public_of_request(pem, "sola-e1") == KEY.public_key()


def named(name: str, *more: x509.NameAttribute[str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), *more])


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (named("boil-e1"), KEY),
        (named("sola-e1", x509.NameAttribute(NameOID.COMMON_NAME, "boil-e1")), KEY),
        (named("sola-e1", x509.NameAttribute(NameOID.ORGANIZATION_NAME, "o")), KEY),
        (named("sola-e1"), ec.generate_private_key(ec.SECP384R1())),
    ],
)
def test_a_request_for_anything_else_is_refused(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> None:
    asked = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, SHA256())
    with pytest.raises(CertificateInvalid, match="CN=sola-e1"):
        pki.public_of_request(pki.pem_of(asked), "sola-e1")


def test_a_request_that_was_altered_is_refused() -> None:
    pem = pki.pem_of(pki.request(KEY, "sola-e1"))
    der = bytearray(x509.load_pem_x509_csr(pem).public_bytes(Encoding.DER))
    at = der.index(b"sola-e1")
    der[at : at + 7] = b"boil-e1"
    forged = pki.pem_of(x509.load_der_x509_csr(bytes(der)))
    with pytest.raises(CertificateInvalid, match="not signed by its own"):
        pki.public_of_request(forged, "boil-e1")
    for nonsense in (b"", b"-----BEGIN", pem * 100):
        with pytest.raises(CertificateInvalid):
            pki.public_of_request(nonsense, "sola-e1")


def test_the_list_of_the_revoked() -> None:
    crl = pki.revocations(AUTHORITY, [Revoked(17, NOW)], 4, NOW)
    assert crl.is_signature_valid(AUTHORITY.key.public_key())
    assert crl.get_revoked_certificate_by_serial_number(17) is not None
    assert crl.get_revoked_certificate_by_serial_number(18) is None
    assert crl.next_update_utc == AUTHORITY.certificate.not_valid_after_utc, "its end would lock everybody out"


def test_days_left() -> None:
    pem = pki.pem_of(pki.client_certificate(AUTHORITY, KEY.public_key(), "sola-e1", NOW, 30))
    assert pki.days_left(pem, NOW) == 30
    assert pki.days_left(pem, NOW + timedelta(days=31)) == -1
    with pytest.raises(CertificateInvalid):
        pki.days_left(b"nothing", NOW)


@pytest.mark.parametrize("days", [0, -1, pki.MAX_DAYS + 1])
def test_days_that_no_certificate_holds(days: int) -> None:
    with pytest.raises(NotIssuable, match="days"):
        pki.client_certificate(AUTHORITY, KEY.public_key(), "sola-e1", NOW, days)


def test_a_key_of_another_certificate() -> None:
    made = pki.client_certificate(AUTHORITY, pki.new_key().public_key(), "sola-e1", NOW)
    with pytest.raises(CertificateInvalid, match="another key"):
        pki.check_pair(made, KEY)
    assert pki.key_of(pki.private_pem(KEY)).public_key() == KEY.public_key()
    with pytest.raises(CertificateInvalid):
        pki.key_of(b"nothing")
