"""The authority's folder: its key, every certificate that it issued, what it revoked, and open invitations.

    ca.pem  ca.key  crl.pem  issued.jsonl  certificates/  invitations/

Guaranteed: `issued.jsonl` only grows, a line a deed, synced before what it tells leaves the folder; `crl.pem` follows
from it. One command at a time works on the folder. Private files have mode 0600 and are never overwritten.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from hakari import pki
from hakari.errors import BadConfiguration, DataProblem, Refused
from hakari.log.keyfile import PRIVATE_MODE, read_private, replace_file, write_new
from hakari.pki import Authority, Revoked
from hakari.smallfile import read_bytes

FOLDER_MODE = 0o700
PUBLIC_MODE = 0o644
MAX_ISSUED_BYTES = 64 * 1024 * 1024
CA, CA_KEY, CRL, ISSUED = "ca.pem", "ca.key", "crl.pem", "issued.jsonl"
CERTIFICATES, INVITATIONS = "certificates", "invitations"


class NoAuthority(BadConfiguration):
    """A folder is not an authority's, or cannot be used."""


class AuthorityDamaged(DataProblem):
    """The authority's own list contradicts itself."""


class AuthorityRefuses(Refused):
    """A rule forbids what the authority is asked for."""


class Deed(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line of the list: what was done when; `serial` in hex, `until` the certificate's end."""

    t: datetime
    what: str
    name: str
    serial: str = ""
    until: datetime | None = None


class Issued(msgspec.Struct, frozen=True):
    """One certificate as it stands now."""

    name: str
    serial: str
    until: datetime
    days_left: int
    state: str


class AuthorityFolder:
    """An open folder; use it with `with`, which holds its lock. Errors: NoAuthority."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: int | None = None

    @classmethod
    def create(cls, folder: Path, name: str, now: datetime, days: float) -> None:
        """A new authority in a new or empty folder."""
        if folder.exists() and any(folder.iterdir()):
            raise AuthorityRefuses(f"{folder} is not empty and nothing is overwritten; name another folder")
        made = pki.new_authority(name, now, days)
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        folder.chmod(FOLDER_MODE)
        for inner in (CERTIFICATES, INVITATIONS):
            (folder / inner).mkdir(mode=FOLDER_MODE)
        write_new(folder / CA_KEY, pki.private_pem(made.key), PRIVATE_MODE)
        write_new(folder / CA, pki.pem_of(made.certificate), PUBLIC_MODE)
        write_new(folder / CRL, pki.pem_of(pki.revocations(made, (), 1, now)), PUBLIC_MODE)
        write_new(folder / ISSUED, b"", PRIVATE_MODE)
        with cls(folder) as opened:
            opened.note(Deed(now, "authority", name, _hex(made.certificate), pki.until(made.certificate)))

    def __enter__(self) -> Self:
        try:
            self._lock = os.open(self.folder / ISSUED, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise NoAuthority(
                f"{self.folder} is no authority's folder ({error.strerror}); make one with: hakari keys authority new"
            ) from error
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)

    @property
    def certificate_pem(self) -> bytes:
        """The authority's own certificate, which every client and the broker trust."""
        return read_bytes(self.folder / CA, pki.MAX_PEM_BYTES)

    @property
    def crl_pem(self) -> bytes:
        """What was revoked."""
        return read_bytes(self.folder / CRL, MAX_ISSUED_BYTES)

    def deeds(self) -> list[Deed]:
        """The whole list. Errors: AuthorityDamaged."""
        lines = read_bytes(self.folder / ISSUED, MAX_ISSUED_BYTES).splitlines()
        try:
            return [msgspec.json.decode(line, type=Deed) for line in lines]
        except msgspec.MsgspecError as error:
            raise AuthorityDamaged(f"{self.folder / ISSUED}: {error}; restore it from its backup") from error

    def note(self, deed: Deed) -> None:
        """Adds one line, on disk when this returns."""
        if self._lock is None:
            raise RuntimeError("the authority's folder is not open")
        os.write(self._lock, msgspec.json.encode(deed) + b"\n")
        os.fsync(self._lock)

    def issue_client(self, public: ec.EllipticCurvePublicKey, name: str, now: datetime, days: float) -> bytes:
        """A client's certificate as PEM."""
        return self._kept(pki.client_certificate(self._authority(), public, name, now, days), "client", name, now)

    def issue_server(
        self, public: ec.EllipticCurvePublicKey, hosts: Sequence[str], now: datetime, days: float
    ) -> bytes:
        """The broker's certificate as PEM."""
        made = pki.server_certificate(self._authority(), public, hosts, now, days)
        return self._kept(made, "server", hosts[0], now)

    def renew(self, name: str, now: datetime, days: float) -> bytes:
        """A new certificate for the key that the newest one of client `name` was made for.

        The key stays where it is, on its device. AuthorityRefuses where there is none, or it was revoked.
        """
        own = [one for one in self.issued(now) if one.name == name]
        if not own or own[-1].state == "revoked":
            why = "was revoked" if own else "was never issued"
            raise AuthorityRefuses(
                f"the certificate of {name!r} {why}; let it in anew with: hakari keys invite (an edge) or"
                " hakari keys authority client"
            )
        old = read_bytes(self.folder / CERTIFICATES / f"{own[-1].serial}.pem", pki.MAX_PEM_BYTES)
        public = pki.certificate_of(old).public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise AuthorityDamaged(f"the certificate {own[-1].serial} has another kind of key; it was not made here")
        return self.issue_client(public, name, now, days)

    def revoke(self, name: str, now: datetime) -> list[str]:
        """Serials of the certificates of `name` that hold no longer from now on; the list of all is written anew."""
        found = [one for one in self.issued(now, servers=True) if one.name == name]
        if not found:
            raise AuthorityRefuses(f"no certificate of {name!r} was ever issued; see: hakari keys authority list")
        fresh = [one.serial for one in found if one.state == "valid"]
        for serial in fresh:
            self.note(Deed(now, "revoked", name, serial))
        revoked = [(deed.serial, deed.t) for deed in self.deeds() if deed.what == "revoked"]
        entries = [Revoked(int(serial, 16), when) for serial, when in revoked]
        self.replace(CRL, pki.pem_of(pki.revocations(self._authority(), entries, len(entries) + 1, now)), PUBLIC_MODE)
        return fresh

    def issued(self, now: datetime, *, servers: bool = False) -> list[Issued]:
        """Every certificate of a client, in order of issue; those of the broker too where asked for."""
        deeds = self.deeds()
        revoked = {deed.serial for deed in deeds if deed.what == "revoked"}
        kinds = ("client", "server") if servers else ("client",)
        found = []
        for deed in deeds:
            if deed.what in kinds and deed.until is not None:
                state = "revoked" if deed.serial in revoked else "valid" if deed.until > now else "expired"
                found.append(Issued(deed.name, deed.serial, deed.until, (deed.until - now).days, state))
        return found

    def replace(self, name: str, content: bytes, mode: int) -> None:
        """`content` in place of the file `name` of this folder, whole or not at all."""
        replace_file(self.folder / name, content, mode)

    def _kept(self, made: x509.Certificate, kind: str, name: str, now: datetime) -> bytes:
        pem = pki.pem_of(made)
        write_new(self.folder / CERTIFICATES / f"{_hex(made)}.pem", pem, PUBLIC_MODE)
        self.note(Deed(now, kind, name, _hex(made), pki.until(made)))
        return pem

    def _authority(self) -> Authority:
        certificate, key = pki.certificate_of(self.certificate_pem), pki.key_of(read_private(self.folder / CA_KEY))
        pki.check_pair(certificate, key)
        return Authority(certificate, key)


def _hex(made: x509.Certificate) -> str:
    return f"{made.serial_number:040x}"
