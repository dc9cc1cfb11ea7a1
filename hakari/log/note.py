"""C2SP signed notes (c2sp.org/signed-note v1.0.0) with Ed25519 keys.

Guaranteed: bytes are taken as a note only in their one form (UTF-8, line feeds, strict standard base64 with
padding), so composing what was taken apart gives the same bytes; text is returned only after a listed key's
signature over exactly this text has been verified. Lines of unknown keys are ignored, as the specification asks.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hakari.errors import DataProblem

ED25519 = 0x01
COSIGNATURE = 0x04
MAX_NOTE_BYTES = 4 * 1024 * 1024
MAX_SIGNATURES = 16
MAX_SIGNATURE_BYTES = 4096
MAX_NAME_CHARS = 255
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64
KEY_ID_BYTES = 4
CACHED_KEYS = 4096

_DASH = "\u2014 "
_MAX_KEY_CHARS = MAX_NAME_CHARS + 64
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
# y coordinates of the points of order 1, 2, 4 and 8 (RFC 7748 section 7, RFC 8032): a key that is one of them,
# such as 32 zero bytes, lets one signature hold for many texts.
_P = 2**255 - 19
_ORDER_8_Y = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
_WEAK_Y = frozenset({0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y})


class NoteInvalid(DataProblem):
    """Bytes are not a signed note in its one form, or no listed key has signed it."""


class KeyInvalid(NoteInvalid):
    """A key's name, algorithm or bytes cannot be used."""


class Signature(NamedTuple):
    """One signature line: key name, 4 bytes of key id, what follows them."""

    name: str
    key_id: bytes
    blob: bytes


class Parts(NamedTuple):
    """A note taken apart and not yet verified: the signed text with its last line feed, the signature lines."""

    text: str
    signatures: list[Signature]


@dataclass(frozen=True)
class VerifierKey:
    """A public key with its name and signature type; KeyInvalid unless a note could carry its signature."""

    name: str
    algorithm: int
    public: bytes

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise KeyInvalid(f"key name {self.name[:80]!r} must have 1 to {MAX_NAME_CHARS} characters, no space, no +")
        if self.algorithm not in (ED25519, COSIGNATURE):
            raise KeyInvalid(f"key {self.name} has signature type {self.algorithm:#04x}; known are 0x01 and 0x04")
        check_public(self.public, f"key {self.name}")

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || signature type || public key)[:4]."""
        return _key_id(self.name, self.algorithm, self.public)

    def __str__(self) -> str:
        encoded = base64.b64encode(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The key that `text` (name+hex id+base64) writes; KeyInvalid unless writing it gives the same text."""
        return _parse_key(text)


@dataclass(frozen=True)
class SigningKey:
    """A private key with the name under which it signs notes."""

    name: str
    private: Ed25519PrivateKey

    @cached_property
    def verifier(self) -> VerifierKey:
        """The key that verifies what this one signs."""
        return VerifierKey(self.name, ED25519, self.private.public_key().public_bytes_raw())

    def signature(self, message: bytes) -> bytes:
        """The Ed25519 signature of `message`."""
        return self.private.sign(message)


class Signer(Protocol):
    """Whoever signs notes: a key in memory, or one in a token that never tells it."""

    @property
    def verifier(self) -> VerifierKey:
        """The key that verifies what this one signs."""
        ...

    def signature(self, message: bytes) -> bytes:
        """The Ed25519 signature of `message`."""
        ...


@lru_cache(maxsize=CACHED_KEYS)
def _key_id(name: str, algorithm: int, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:KEY_ID_BYTES]


@lru_cache(maxsize=CACHED_KEYS)
def _parse_key(text: str) -> VerifierKey:
    parts = text.split("+", 2)
    if len(text) > _MAX_KEY_CHARS or len(parts) != 3:
        raise KeyInvalid(f"verifier key {text[:80]!r} is not name+id+key; copy the whole line")
    encoded = decode64(parts[2], "verifier key")
    if len(encoded) != 1 + PUBLIC_BYTES:
        raise KeyInvalid(f"verifier key {text[:80]!r} has {len(encoded)} bytes of key, not {1 + PUBLIC_BYTES}")
    key = VerifierKey(parts[0], encoded[0], encoded[1:])
    if str(key) != text:
        raise KeyInvalid(f"verifier key {text[:80]!r} does not have its own id {key.key_id.hex()}; copy it again")
    return key


@lru_cache(maxsize=CACHED_KEYS)
def _public_key(public: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public)


@lru_cache(maxsize=CACHED_KEYS)
def check_public(public: bytes, what: str) -> bytes:
    """`public` itself when it is 32 bytes, canonical and no point of small order; KeyInvalid names `what`."""
    if len(public) != PUBLIC_BYTES:
        raise KeyInvalid(f"{what} has {len(public)} bytes of public key, an Ed25519 key has {PUBLIC_BYTES}")
    y = int.from_bytes(public, "little") & (2**255 - 1)
    if y >= _P or y in _WEAK_Y:
        raise KeyInvalid(f"{what} is a public key under which anyone can sign; make a new key")
    return public


def is_name(name: str) -> bool:
    """Whether `name` can be a key name: no Unicode space, plus or control character, at most 255 characters."""
    if not 0 < len(name) <= MAX_NAME_CHARS or "+" in name or name.split() != [name] or _CONTROL.search(name):
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def decode64(text: str, what: str) -> bytes:
    """The bytes of standard base64 with padding in its one form; NoteInvalid names `what`."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise NoteInvalid(f"{what} {text[:80]!r} is not standard base64 with padding") from error
    if base64.b64encode(decoded).decode() != text:
        raise NoteInvalid(f"{what} {text[:80]!r} is not base64 in its one form")
    return decoded


def verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is this Ed25519 key's over `message`."""
    try:
        _public_key(public).verify(signature, message)
    except InvalidSignature:
        return False
    return len(signature) == SIGNATURE_BYTES


def encode_text(text: str) -> bytes:
    """The bytes of `text` to sign; NoteInvalid when they cannot be a note's text."""
    if not text.endswith("\n") or _CONTROL.search(text):
        raise NoteInvalid("note text must end with a line feed and hold no other control character")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise NoteInvalid(f"note text cannot be written as UTF-8: {error}") from error


def compose(text: str, signer: VerifierKey, blob: bytes) -> bytes:
    """The note of `text` with one signature line; NoteInvalid when the text cannot be a note's."""
    line = base64.b64encode(signer.key_id + blob).decode()
    note = encode_text(text) + f"\n{_DASH}{signer.name} {line}\n".encode()
    if len(note) > MAX_NOTE_BYTES:
        raise NoteInvalid(f"note has {len(note)} bytes, limit {MAX_NOTE_BYTES}")
    return note


def put_together(parts: Parts) -> bytes:
    """The note that was taken apart into `parts`, byte for byte."""
    lines = [f"{_DASH}{one.name} {base64.b64encode(one.key_id + one.blob).decode()}\n" for one in parts.signatures]
    return encode_text(parts.text) + ("\n" + "".join(lines)).encode()


def take_apart(note: bytes, max_bytes: int = MAX_NOTE_BYTES) -> Parts:
    """Text and signature lines, nothing verified; NoteInvalid says what is not a note's form."""
    if len(note) > max_bytes:
        raise NoteInvalid(f"note has {len(note)} bytes, limit {max_bytes}")
    try:
        whole = note.decode()
    except UnicodeDecodeError as error:
        raise NoteInvalid(f"note is not UTF-8: {error}") from error
    if _CONTROL.search(whole):
        raise NoteInvalid("note holds a control character other than line feed")
    cut = whole.rfind("\n\n")
    lines = whole[cut + 2 :].split("\n")
    if cut < 0 or lines.pop() != "" or not 0 < len(lines) <= MAX_SIGNATURES:
        raise NoteInvalid(f"note has no text, blank line and 1 to {MAX_SIGNATURES} signature lines at its end")
    return Parts(whole[: cut + 1], [_signature(line) for line in lines])


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not is_name(name) or len(encoded) > 2 * MAX_SIGNATURE_BYTES:
        raise NoteInvalid(f"signature line {line[:80]!r} is not em dash, key name and base64")
    decoded = decode64(encoded, f"signature of {name[:80]}")
    if not KEY_ID_BYTES < len(decoded) <= MAX_SIGNATURE_BYTES:
        raise NoteInvalid(f"signature of {name[:80]} has {len(decoded)} bytes, limit {MAX_SIGNATURE_BYTES}")
    return Signature(name, decoded[:KEY_ID_BYTES], decoded[KEY_ID_BYTES:])


def key_of(signature: Signature, keys: Sequence[VerifierKey]) -> VerifierKey | None:
    """The one of `keys` whose name and id the line bears, None for an unknown one; NoteInvalid for two."""
    found = {key for key in keys if key.name == signature.name and key.key_id == signature.key_id}
    if len(found) > 1:
        raise NoteInvalid(f"two known keys are {signature.name}+{signature.key_id.hex()}; rename one of them")
    return found.pop() if found else None


def sign(text: str, key: Signer) -> bytes:
    """The note of `text` (ends with a line feed) with one signature line by `key`."""
    return compose(text, key.verifier, key.signature(encode_text(text)))


def open_note(note: bytes, keys: Sequence[VerifierKey]) -> str:
    """The text that at least one of `keys` has signed; NoteInvalid when none has or a known one's line fails."""
    parts = take_apart(note)
    message = parts.text.encode()
    signers = []
    for signature in parts.signatures:
        key = key_of(signature, keys)
        if key is None:
            continue
        if key.algorithm != ED25519 or not verifies(key.public, signature.blob, message):
            raise NoteInvalid(f"signature of {key.name}+{key.key_id.hex()} does not fit the note's text")
        signers.append(key)
    if not signers:
        known = ", ".join(key.name[:80] for key in keys[:3]) or "none"
        raise NoteInvalid(f"note is not signed by a known key; known: {known}")
    return parts.text
