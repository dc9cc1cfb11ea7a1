"""Key files: never overwritten, never readable by others, one sentence for whatever is no key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from hakari.log.keyfile import (
    MAX_KEY_FILE_BYTES,
    KeyFileExists,
    KeyFileInvalid,
    KeyFileUnsafe,
    create,
    load,
    public_bytes,
)
from hakari.log.publicfile import PublicKeyInvalid, edge_public_of, text_of, verifier_of, write

KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def put(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("umask", [0, 0o022, 0o377])
def test_created_key_is_private_and_loads(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "edge.pem"
    old = os.umask(umask)
    try:
        made = create(path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert public_bytes(load(path)) == public_bytes(made)
    assert len(public_bytes(made)) == 32


def test_existing_files_are_never_touched(tmp_path: Path) -> None:
    path = put(tmp_path / "edge.pem", b"precious")
    link = tmp_path / "link.pem"
    link.symlink_to(tmp_path / "nowhere")
    for taken in (path, link, tmp_path):
        with pytest.raises(KeyFileExists, match="not overwritten"):
            create(taken)
    assert path.read_bytes() == b"precious"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666])
def test_keys_that_others_can_use_are_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "edge.pem"
    create(path)
    path.chmod(mode)
    with pytest.raises(KeyFileUnsafe, match="chmod 600"):
        load(path)


def test_read_only_and_linked_keys_load(tmp_path: Path) -> None:
    path = tmp_path / "edge.pem"
    made = create(path)
    path.chmod(0o400)
    link = tmp_path / "link.pem"
    link.symlink_to(path)
    assert public_bytes(load(link)) == public_bytes(made)


def contents() -> dict[str, bytes]:
    pem = Encoding.PEM
    return {
        "empty": b"",
        "noise": bytes(range(256)),
        "cut": KEY.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption())[:-40],
        "encrypted": KEY.private_bytes(pem, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
        "another kind": x25519.X25519PrivateKey.generate().private_bytes(pem, PrivateFormat.PKCS8, NoEncryption()),
        "public": KEY.public_key().public_bytes(pem, PublicFormat.SubjectPublicKeyInfo),
        "large": b"#" * (MAX_KEY_FILE_BYTES + 1),
    }


@pytest.mark.parametrize("content", contents().values(), ids=contents().keys())
def test_whatever_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(KeyFileInvalid, match=r"key file .*edge\.pem"):
        load(put(tmp_path / "edge.pem", content))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    for path in (tmp_path / "missing", tmp_path, tmp_path / "fifo"):
        with pytest.raises(KeyFileInvalid):
            load(path)
    with pytest.raises(KeyFileInvalid, match="cannot be written"):
        create(tmp_path / "no folder" / "edge.pem")


def test_public_text_is_a_file_or_itself(tmp_path: Path) -> None:
    path = tmp_path / "owner.pem.pub"
    write(path, PETER)
    assert text_of(str(path)) == text_of(PETER) == PETER
    assert str(verifier_of(str(path))) == PETER
    with pytest.raises(KeyFileExists):
        write(path, PETER)


def test_a_private_key_in_place_of_a_public_one_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "edge.pem"
    create(path)
    secret = path.read_text().split("\n")[1]
    for read in (verifier_of, edge_public_of):
        with pytest.raises(PublicKeyInvalid, match=r"give .*edge\.pem\.pub") as caught:
            read(str(path))
        assert secret not in str(caught.value)


@pytest.mark.parametrize("given", ["", "x" * 5000, "a\0b", "AAAA", "A" * 43 + "="])
def test_bad_public_keys_are_refused(given: str) -> None:
    for read in (verifier_of, edge_public_of):
        with pytest.raises(PublicKeyInvalid):
            read(given)


def test_large_and_binary_public_files_are_refused(tmp_path: Path) -> None:
    for content in (b"A" * 2000, b"\xff\xfe", f"{PETER}\n\n".encode(), f"{PETER}\r\n".encode()):
        with pytest.raises(PublicKeyInvalid):
            verifier_of(str(put(tmp_path / "x.pub", content)))
