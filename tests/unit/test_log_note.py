"""Signed notes against the examples of C2SP and of golang.org/x/mod/sumdb/note, and against every flipped byte."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.log.note import (
    COSIGNATURE,
    ED25519,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    KeyInvalid,
    NoteInvalid,
    SigningKey,
    VerifierKey,
    compose,
    decode64,
    open_note,
    sign,
    take_apart,
)

# golang.org/x/mod/sumdb/note, note_test.go.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
ENOCH_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)
# c2sp.org/signed-note, section Example.
C2SP_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ON"
    "ncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# A checkpoint of the public staging log Arche (transparency.dev) as another implementation's tests quote it: with lines
# of another signature type and of a witness. Its signatures hold, so nothing rests on who quotes it.
LOG_KEY = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
LOG_NOTE = """arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
"""  # noqa: E501 - as published


def private(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def verifier(text: str) -> VerifierKey:
    return VerifierKey.parse(text)


@pytest.mark.parametrize(
    ("key", "note"), [(PETER, f"{TEXT}\n{PETER_LINE}"), (ENOCH, f"{TEXT}\n{ENOCH_LINE}"), (C2SP_KEY, C2SP_NOTE)]
)
def test_published_notes_open(key: str, note: str) -> None:
    assert open_note(note.encode(), [verifier(key)]) == note.partition("\n\n")[0] + "\n"


def test_published_note_is_made_byte_for_byte() -> None:
    peter = SigningKey("PeterNeumann", Ed25519PrivateKey.from_private_bytes(PETER_SEED))
    assert str(peter.verifier) == PETER
    assert sign(TEXT, peter) == f"{TEXT}\n{PETER_LINE}".encode()


def test_lines_of_unknown_keys_and_types_are_ignored() -> None:
    assert open_note(LOG_NOTE.encode(), [verifier(LOG_KEY)]).endswith("U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n")
    both = f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}".encode()
    for known in ([PETER], [ENOCH], [PETER, ENOCH], [ENOCH, PETER, PETER]):
        assert open_note(both, [verifier(key) for key in known]) == TEXT
    with pytest.raises(NoteInvalid, match="not signed by a known key; known: example"):
        open_note(both, [verifier(C2SP_KEY)])
    with pytest.raises(NoteInvalid, match="known: none"):
        open_note(both, [])


def test_a_known_key_that_fails_spoils_the_note() -> None:
    """A good signature beside it does not help."""
    forged = ENOCH_LINE.replace("BzmZa0", "BzmZa1")
    note = f"{TEXT}\n{PETER_LINE}{forged}".encode()
    assert open_note(note, [verifier(PETER)]) == TEXT
    with pytest.raises(NoteInvalid, match="EnochRoot"):
        open_note(note, [verifier(PETER), verifier(ENOCH)])


def test_malformed_notes_of_the_reference_are_refused() -> None:
    bad = [
        TEXT,
        f"{TEXT}\n",
        f"{TEXT}\n{PETER_LINE[:-1]}",
        f"\x01{TEXT}\n{PETER_LINE}",
        f"{TEXT}\n— Bad Name {PETER_LINE.split(' ')[2]}",
        f"{TEXT}\n{PETER_LINE}Unexpected line.\n",
        f"{TEXT}\n{PETER_LINE[:60]}ABCD{PETER_LINE[60:]}",
        f"{TEXT}\n{PETER_LINE * (MAX_SIGNATURES + 1)}",
    ]
    for note in [*(text.encode() for text in bad), b"\xff" + f"{TEXT}\n{PETER_LINE}".encode(), b"", b"\n\n", b"\n"]:
        with pytest.raises(NoteInvalid):
            open_note(note, [verifier(PETER)])


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("\n", "\r\n"),
        lambda note: note.replace("\n\n", "\n\n\n"),
        lambda note: note + "\n",
        lambda note: "\ufeff" + note,
        lambda note: note.replace("— P", "—  P"),
        lambda note: note.replace("— P", "- P"),
        lambda note: note.replace("AM=\n", "AM\n"),
        lambda note: note.replace("AM=\n", "AN=\n"),
        lambda note: note.replace("AM=\n", "AM= \n"),
        lambda note: note.replace("AM=\n", "AM==\n"),
        lambda note: note.replace("x08go/", "x08go_"),
        lambda note: note.replace("PeterNeumann ", "PeterNeumann\u00a0x "),
        lambda note: note.replace(",", "\t"),
        lambda note: note.replace(" x08", " \u0665x08"),
    ],
)
def test_other_forms_are_refused(change: object) -> None:
    assert callable(change)
    note = f"{TEXT}\n{PETER_LINE}"
    changed = change(note)
    assert changed != note
    with pytest.raises(NoteInvalid):
        open_note(changed.encode(), [verifier(PETER)])


def test_every_flipped_bit_cut_and_insertion_is_refused() -> None:
    note = f"{TEXT}\n{PETER_LINE}".encode()
    key = verifier(PETER)
    for k in range(len(note)):
        for bit in range(8):
            changed = bytearray(note)
            changed[k] ^= 1 << bit
            refused(bytes(changed), key)
        refused(note[:k], key)
        refused(note[:k] + note[k + 1 :], key)
        refused(note[:k] + b"A" + note[k:], key)


def refused(note: bytes, key: VerifierKey) -> None:
    with pytest.raises(NoteInvalid):
        open_note(note, [key])


def test_text_may_hold_empty_lines() -> None:
    key = SigningKey("k", private(1))
    for text in ("\n", "a\n\nb\n", "a\n\n", "— not a signature\n", "日本 ー\n"):
        note = sign(text, key)
        assert open_note(note, [key.verifier]) == text
        parts = take_apart(note)
        assert compose(parts.text, key.verifier, parts.signatures[0].blob) == note


@pytest.mark.parametrize(
    "text", ["", "no end", "tab\t\n", "cr\r\n", "nul\x00\n", "\ud800\n", "x" * MAX_NOTE_BYTES + "\n"]
)
def test_text_that_cannot_be_a_note_is_not_signed(text: str) -> None:
    with pytest.raises(NoteInvalid):
        sign(text, SigningKey("k", private(1)))


@pytest.mark.parametrize("text", ["tab\t\n", "cr\r\n", "nul\x00\n", "escape\x1b[2J\n"])
def test_control_characters_are_refused_even_when_signed(text: str) -> None:
    key = SigningKey("k", private(1))
    line = base64.b64encode(key.verifier.key_id + key.private.sign(text.encode())).decode()
    refused(f"{text}\n— k {line}\n".encode(), key.verifier)


def test_a_cosigner_key_does_not_open_a_plain_note() -> None:
    key = SigningKey("k", private(1))
    other = VerifierKey("k", COSIGNATURE, key.verifier.public)
    assert other.key_id != key.verifier.key_id
    refused(sign("text\n", key), other)
    disguised = compose("text\n", other, key.private.sign(b"text\n"))
    refused(disguised, other)


def test_two_keys_with_one_name_and_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids have four bytes, so that anyone can make a second key with the same one."""
    first, second = SigningKey("k", private(1)), SigningKey("k", private(2))
    monkeypatch.setattr(VerifierKey, "key_id", property(lambda _: b"same"))
    note = sign("text\n", first)
    assert open_note(note, [first.verifier]) == "text\n"
    with pytest.raises(NoteInvalid, match="rename"):
        open_note(note, [first.verifier, second.verifier])


def test_every_mangled_verifier_key_is_refused() -> None:
    for k in range(len(PETER)):
        for changed in {PETER[:k], PETER[k + 1 :], PETER[:k] + chr(ord(PETER[k]) + 1) + PETER[k + 1 :]}:
            with pytest.raises(NoteInvalid):
                VerifierKey.parse(changed)
    for changed in [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        PETER.replace("c74f20a3", "C74F20A3"),
        f"{PETER}\n",
        f" {PETER}",
        PETER.replace("Peter", "P" * 400),
    ]:
        with pytest.raises(NoteInvalid):
            VerifierKey.parse(changed)
    assert str(verifier(PETER)) == PETER


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "\u00a0", "a\n", "a\x07", "\ud800", "n" * 256])
def test_bad_key_names_are_refused(name: str) -> None:
    with pytest.raises(KeyInvalid):
        VerifierKey(name, ED25519, verifier(PETER).public)


# RFC 7748 section 7 and RFC 8032 section 5.1.7: points of small order and encodings that are not canonical.
WEAK = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


@pytest.mark.parametrize("public", WEAK)
def test_keys_under_which_anyone_can_sign_are_refused(public: str) -> None:
    with pytest.raises(KeyInvalid, match="anyone can sign"):
        VerifierKey("k", ED25519, bytes.fromhex(public))


@pytest.mark.parametrize(("algorithm", "length"), [(0x02, 32), (0x06, 32), (ED25519, 31), (ED25519, 33), (ED25519, 0)])
def test_other_keys_are_refused(algorithm: int, length: int) -> None:
    with pytest.raises(KeyInvalid):
        VerifierKey("k", algorithm, b"\x11" * length)


@pytest.mark.parametrize(
    "text", ["A", "AA", "AAA", "AA=", "AB==", "AAB=", "AA==\n", "AA ==", "A-_=", "\uff21A==", "AA==AA=="]
)
def test_base64_has_one_form(text: str) -> None:
    with pytest.raises(NoteInvalid, match="base64"):
        decode64(text, "field")


def test_limits_are_counted_before_reading() -> None:
    with pytest.raises(NoteInvalid, match="limit"):
        open_note(b"\x00" * (MAX_NOTE_BYTES + 1), [])
    with pytest.raises(NoteInvalid, match="limit 10"):
        take_apart(b"\x00" * 11, 10)
