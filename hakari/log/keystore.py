"""Where the owner's key is kept: a plain file, one under a passphrase, or a token that never tells it (PKCS#11).

An encrypted file is ordinary PKCS#8 (PBES2: scrypt, AES-256-CBC), so that `openssl pkey` opens a backup without us.
A token is named by a small text file with one PKCS#11 address (RFC 7512), which holds no secret.
"""

from __future__ import annotations

import base64
import os
import re
import textwrap
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, unquote

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from hakari.errors import BadConfiguration, Refused
from hakari.log import keyfile
from hakari.log.keyfile import KeyFileInvalid
from hakari.log.note import ED25519, KeyInvalid, Signer, SigningKey, VerifierKey

MIN_PASSPHRASE_CHARS = 12
MAX_SECRET_CHARS = 1024
# 16 MiB of memory a try, which is as much as OpenSSL's own tools take; eight rounds of it.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 16_384, 8, 8
_PBES2, _SCRYPT, _AES_256_CBC = "2a864886f70d01050d", "2b06010401da47040b", "60864801650304012a"
_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_TOKEN = re.compile(r"pkcs11:token=([^;?\s]+);object=([^;?\s]+)\?module-path=(\S+)\n?")
_EDWARDS25519 = b"\x13\x0cedwards25519"  # EC_PARAMS: the curve by its name
_POINT = re.compile(rb"(?:\x04\x20)?(.{32})", re.DOTALL)

Ask = Callable[[str], str]


class SecretWrong(Refused):
    """A passphrase or PIN does not open the key, or is too weak to keep one."""


class TokenUnusable(BadConfiguration):
    """A token, its library or the key on it cannot be used."""


class KeptKey(Protocol):
    """A key that was opened; `named` gives what signs notes."""

    def named(self, name: str) -> Signer:
        """The signer that bears `name`."""
        ...


class _FileKey(NamedTuple):
    private: Ed25519PrivateKey

    def named(self, name: str) -> Signer:
        return SigningKey(name, self.private)


class Token(NamedTuple):
    """A key's place: the token's label, the key's label on it, the token's library."""

    label: str
    key: str
    module: str

    def __str__(self) -> str:
        return f"pkcs11:token={quote(self.label)};object={quote(self.key)}?module-path={quote(self.module, safe='/')}"

    @classmethod
    def parse(cls, text: str) -> Token:
        """The place that `text` writes; TokenUnusable otherwise."""
        found = _TOKEN.fullmatch(text)
        if found is None:
            raise TokenUnusable("a token's file must be one line pkcs11:token=…;object=…?module-path=…; make it again")
        return cls(*(unquote(part) for part in found.groups()))


class TokenSigner(NamedTuple):
    """Signs in the token: each signature opens a session of its own, so that nothing stays logged in."""

    verifier: VerifierKey
    token: Token
    pin: str

    def signature(self, message: bytes) -> bytes:
        """The Ed25519 signature of `message`. Errors: TokenUnusable, SecretWrong."""
        import pkcs11  # noqa: PLC0415 - only where a token is used

        def sign(session: Any) -> bytes:  # noqa: ANN401 - the library's own class
            key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=self.token.key)
            return bytes(key.sign(message, mechanism=pkcs11.Mechanism.EDDSA))

        return _with_token(self.token, self.pin, sign)

    def __repr__(self) -> str:
        return f"TokenSigner({self.verifier.name}, {self.token})"


class _TokenKey(NamedTuple):
    token: Token
    pin: str

    def named(self, name: str) -> Signer:
        return TokenSigner(VerifierKey(name, ED25519, self._public()), self.token, self.pin)

    def __repr__(self) -> str:
        return f"_TokenKey({self.token})"

    def _public(self) -> bytes:
        import pkcs11  # noqa: PLC0415 - only where a token is used

        def point(session: Any) -> bytes:  # noqa: ANN401 - the library's own class
            key = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=self.token.key)
            return bytes(key[pkcs11.Attribute.EC_POINT])

        found = _POINT.fullmatch(_with_token(self.token, self.pin, point))
        if found is None:
            raise TokenUnusable(f"key {self.token.key} on token {self.token.label} is no Ed25519 key; make another")
        return found[1]


def open_key(path: Path, ask: Ask) -> KeptKey:
    """The key that the file at `path` holds or names; `ask` is called only where it has a secret.

    Errors: KeyFileInvalid, KeyFileUnsafe, SecretWrong, TokenUnusable.
    """
    content = keyfile.read_private(path)
    if content.startswith(b"pkcs11:"):
        token = Token.parse(content.decode("utf-8", errors="replace"))
        return _TokenKey(token, ask(f"PIN of token {token.label}"))
    if content.startswith(_ENCRYPTED):
        return _FileKey(_decrypted(content, ask(f"Passphrase of {path}"), path))
    return _FileKey(keyfile.load(path))


def open_private(private: Ed25519PrivateKey) -> KeptKey:
    """A key in memory as one that was opened."""
    return _FileKey(private)


def private_in(path: Path, ask: Ask) -> Ed25519PrivateKey:
    """The private key in a file, plain or encrypted; errors as of `open_key`, and TokenUnusable for a token's file."""
    opened = open_key(path, ask)
    if not isinstance(opened, _FileKey):
        raise TokenUnusable(f"file {path} names a token, which never tells its key; give the key file")
    return opened.private


def create_encrypted(path: Path, passphrase: str) -> Ed25519PrivateKey:
    """A new key, on disk under `passphrase` with mode 0600 when this returns; an existing file is never touched."""
    private = Ed25519PrivateKey.generate()
    keyfile.write_new(path, encrypted(private, passphrase), keyfile.PRIVATE_MODE)
    return private


def encrypted(private: Ed25519PrivateKey, passphrase: str) -> bytes:
    """PKCS#8 in PEM under `passphrase`; SecretWrong for one that is too short."""
    if not MIN_PASSPHRASE_CHARS <= len(passphrase) <= MAX_SECRET_CHARS:
        raise SecretWrong(f"a passphrase must have {MIN_PASSPHRASE_CHARS} to {MAX_SECRET_CHARS} characters; take words")
    salt, vector = os.urandom(16), os.urandom(16)
    key = Scrypt(salt=salt, length=32, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(passphrase.encode())
    padder = PKCS7(128).padder()
    plain = padder.update(private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())) + padder.finalize()
    cipher = Cipher(algorithms.AES256(key), modes.CBC(vector)).encryptor()
    sealed = cipher.update(plain) + cipher.finalize()
    derivation = _sequence(_oid(_SCRYPT), _sequence(_octets(salt), *map(_integer, (SCRYPT_N, SCRYPT_R, SCRYPT_P))))
    scheme = _sequence(derivation, _sequence(_oid(_AES_256_CBC), _octets(vector)))
    der = _sequence(_sequence(_oid(_PBES2), scheme), _octets(sealed))
    lines = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"{_ENCRYPTED.decode()}\n{lines}\n-----END ENCRYPTED PRIVATE KEY-----\n".encode()


def put_into_token(token: Token, pin: str, private: Ed25519PrivateKey) -> None:
    """`private` on the token, from which it cannot be read again. Errors: TokenUnusable, SecretWrong."""
    import pkcs11  # noqa: PLC0415 - only where a token is used
    from pkcs11 import Attribute, ObjectClass  # noqa: PLC0415

    common = {
        Attribute.KEY_TYPE: pkcs11.KeyType.EC_EDWARDS, Attribute.TOKEN: True, Attribute.LABEL: token.key,
        Attribute.ID: b"\x01", Attribute.EC_PARAMS: _EDWARDS25519,
    }  # fmt: skip
    public = b"\x04\x20" + keyfile.public_bytes(private)

    def put(session: Any) -> bytes:  # noqa: ANN401 - the library's own class
        if list(session.get_objects({Attribute.LABEL: token.key})):
            raise TokenUnusable(f"token {token.label} has an object {token.key}; it is not overwritten, name another")
        session.create_object({
            **common, Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.VALUE: private.private_bytes_raw(),
            Attribute.SIGN: True, Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False,
        })  # fmt: skip
        session.create_object({
            **common, Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.EC_POINT: public, Attribute.VERIFY: True,
        })  # fmt: skip
        return b""

    _with_token(token, pin, put, rw=True)


def secret_in(path: Path) -> str:
    """The one line in a file that only its owner can read. Errors: KeyFileInvalid, KeyFileUnsafe."""
    text = keyfile.read_private(path).decode("utf-8", errors="replace").removesuffix("\n")
    if not 0 < len(text) <= MAX_SECRET_CHARS or "\n" in text:
        raise KeyFileInvalid(f"file {path} must hold one line of 1 to {MAX_SECRET_CHARS} characters")
    return text


def _decrypted(pem: bytes, passphrase: str, path: Path) -> Ed25519PrivateKey:
    try:
        private = load_pem_private_key(pem, passphrase.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SecretWrong(f"the passphrase does not open {path}, or the file is damaged; try again") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileInvalid(f"key file {path} holds another kind of key, not Ed25519; make one with hakari keys")
    return private


def _with_token(token: Token, pin: str, work: Callable[[Any], bytes], *, rw: bool = False) -> bytes:
    try:
        import pkcs11  # noqa: PLC0415 - only where a token is used
        import pkcs11.exceptions  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise TokenUnusable("tokens need the extra: pip install 'hakari[hardware]'") from error
    try:
        library = pkcs11.lib(token.module)
        opened: AbstractContextManager[Any] = library.get_token(token_label=token.label).open(user_pin=pin, rw=rw)
        with opened as session:
            return work(session)
    except (pkcs11.exceptions.PinIncorrect, pkcs11.exceptions.PinLenRange, pkcs11.exceptions.PinLocked) as error:
        raise SecretWrong(
            f"token {token.label} refuses the PIN ({type(error).__name__}); a token locks itself after a few tries"
        ) from error
    except (pkcs11.exceptions.PKCS11Error, RuntimeError, KeyInvalid) as error:
        said = str(error) or type(error).__name__
        raise TokenUnusable(
            f"token {token.label} with key {token.key} cannot be used: {said[:200]}; see the token and {token.module}"
        ) from error


def _sequence(*parts: bytes) -> bytes:
    return _der(0x30, b"".join(parts))


def _octets(content: bytes) -> bytes:
    return _der(0x04, content)


def _oid(encoded: str) -> bytes:
    return _der(0x06, bytes.fromhex(encoded))


def _integer(number: int) -> bytes:
    return _der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = (
        bytes([size])
        if size < 0x80
        else bytes([0x80 | (size.bit_length() + 7) // 8]) + size.to_bytes((size.bit_length() + 7) // 8, "big")
    )
    return bytes([tag]) + length + content
