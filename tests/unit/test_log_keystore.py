"""The owner's key under a passphrase and in a token: opened by who knows the secret, and told by nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.cli.keys import keys
from hakari.log import keystore, rosterfile
from hakari.log.keyfile import KeyFileInvalid, KeyFileUnsafe, public_bytes, write_new
from hakari.log.keystore import SecretWrong, Token, TokenUnusable
from hakari.log.note import open_note, sign
from hakari.log.publicfile import verifier_of

PASSPHRASE = "correct horse battery"
PIN = "4321-pin"


def run(line: str) -> Result:
    return CliRunner().invoke(keys, line.split())


def good(line: str) -> str:
    result = run(line)
    assert result.exit_code == 0, result.output
    assert PASSPHRASE not in result.output
    assert PIN not in result.output
    return result.stdout


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, secret in (("pass", PASSPHRASE), ("wrong", "another passphrase"), ("pin", PIN)):
        write_new(tmp_path / name, f"{secret}\n".encode(), 0o600)
    return tmp_path


def test_a_key_under_a_passphrase_signs_the_roster(inside: Path) -> None:
    good("owner --out owner.pem --name plant.example/owner --secret-file pass")
    assert Path("owner.pem").read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert Path("owner.pem").stat().st_mode & 0o777 == 0o600
    at = "roster.note --owner owner.pem --secret-file"
    good(f"roster new {at} pass --namespace plant.example")
    refused = run(f"roster new {at} wrong --namespace plant.example".replace("roster.note", "second.note"))
    assert refused.exit_code == 6
    assert "does not open owner.pem" in refused.stderr
    assert "another passphrase" not in refused.output
    assert rosterfile.read("roster.note", verifier_of("owner.pem.pub")).serial == 1
    asked = CliRunner().invoke(
        keys, ["check-owner", "--owner", "owner.pem", "--owner-key", "owner.pem.pub", "--json"], input=f"{PASSPHRASE}\n"
    )
    assert asked.exit_code == 0, asked.output
    assert json.loads(asked.stdout)["good"]
    assert PASSPHRASE not in asked.output
    del inside


def test_a_backup_that_is_not_the_owners_is_told(inside: Path) -> None:
    good("owner --out owner.pem --name plant.example/owner")
    good("owner --out other.pem --name plant.example/owner")
    refused = run("check-owner --owner other.pem --owner-key owner.pem.pub")
    assert refused.exit_code == 6
    assert "not the owner's key" in refused.stderr
    copied = inside / "copy.pem"
    shutil.copy("owner.pem", copied)
    assert "signs as" in good(f"check-owner --owner {copied} --owner-key owner.pem.pub")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_backup_opens_without_us(tmp_path: Path) -> None:
    made = keystore.create_encrypted(tmp_path / "owner.pem", PASSPHRASE)
    told = subprocess.run(
        ["openssl", "pkey", "-in", str(tmp_path / "owner.pem"), "-passin", f"pass:{PASSPHRASE}", "-noout", "-text"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    digits = "".join(told.stdout.split("pub:")[1].split()).replace(":", "")
    assert bytes.fromhex(digits) == public_bytes(made)


def test_wrong_secrets_and_files(tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    with pytest.raises(SecretWrong, match="12 to"):
        keystore.encrypted(private, "short")
    path = tmp_path / "owner.pem"
    write_new(path, keystore.encrypted(private, PASSPHRASE), 0o600)
    opened = keystore.open_key(path, lambda _: PASSPHRASE).named("owner")
    assert opened.verifier.public == public_bytes(private)
    path.write_bytes(path.read_bytes().replace(b"M", b"N", 1))
    with pytest.raises(SecretWrong, match="damaged"):
        keystore.open_key(path, lambda _: PASSPHRASE)
    path.chmod(0o644)
    with pytest.raises(KeyFileUnsafe, match="chmod 600"):
        keystore.open_key(path, lambda _: PASSPHRASE)
    for content in (b"", b"a\nb\n"):
        secret = tmp_path / f"secret-{len(content)}"
        write_new(secret, content, 0o600)
        with pytest.raises(KeyFileInvalid, match="one line"):
            keystore.secret_in(secret)


@pytest.mark.parametrize("text", ["pkcs11:", "pkcs11:token=a", "pkcs11:token=a;object=b?module-path=/x\nmore", "x"])
def test_a_token_file_that_is_none(text: str) -> None:
    with pytest.raises(TokenUnusable, match="one line"):
        Token.parse(text)


def test_a_token_is_written_in_one_form() -> None:
    token = Token("plant key; 1", "owner?", "/usr/lib/a b.so")
    assert Token.parse(f"{token}\n") == token


def test_a_token_without_its_library(inside: Path) -> None:
    write_new(inside / "owner.token", b"pkcs11:token=a;object=b?module-path=/nowhere.so\n", 0o600)
    refused = run("check-owner --owner owner.token --owner-name o --secret-file pin --owner-key " + str(OTHER.verifier))
    assert refused.exit_code == 3
    assert "/nowhere.so" in refused.stderr
    assert PIN not in refused.output


OTHER = keystore.open_private(Ed25519PrivateKey.from_private_bytes(bytes(32))).named("o")


@pytest.fixture
def softhsm(inside: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The library of a software token in this folder, where HAKARI_TEST_SOFTHSM names SoftHSM's."""
    library, tool = os.environ.get("HAKARI_TEST_SOFTHSM"), shutil.which("softhsm2-util")
    if not library or tool is None:
        pytest.skip("no software token; install SoftHSM 2 and set HAKARI_TEST_SOFTHSM to its libsofthsm2.so")
    (inside / "tokens").mkdir()
    (inside / "softhsm.conf").write_text(f"directories.tokendir = {inside}/tokens\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(inside / "softhsm.conf"))
    subprocess.run(
        [tool, "--init-token", "--free", "--label", "plant", "--so-pin", "12345678", "--pin", PIN],
        check=True, capture_output=True,
    )  # fmt: skip
    return library


def test_a_token_signs_and_never_tells(softhsm: str) -> None:
    good("owner --out owner.pem --name plant.example/owner --secret-file pass")
    put = f"put-in-token owner.pem --secret-file pass --token plant --module {softhsm} --pin-file pin --out owner.token"
    good(put)
    assert run(put).exit_code == 6, "the token's file is not overwritten"
    twice = run(put.replace("owner.token", "second.token"))
    assert "is not overwritten" in twice.stderr
    good("check-owner --owner owner.token --secret-file pin --owner-key owner.pem.pub")
    good("roster new roster.note --owner owner.token --secret-file pin --namespace plant.example")
    assert rosterfile.read("roster.note", verifier_of("owner.pem.pub")).serial == 1
    refused = run("check-owner --owner owner.token --secret-file wrong --owner-key owner.pem.pub")
    assert (refused.exit_code, "refuses the PIN" in refused.stderr) == (6, True)
    signer = keystore.open_key(Path("owner.token"), lambda _: PIN).named("plant.example/owner")
    assert open_note(sign("a\n", signer), [signer.verifier]) == "a\n"
    assert PIN not in repr(signer)
    with pytest.raises(TokenUnusable, match="never tells"):
        keystore.private_in(Path("owner.token"), lambda _: PIN)
