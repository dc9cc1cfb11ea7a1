from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.settings import EdgeTable, Settings, SettingsInvalid
from edge.trust import trusted
from hakari.log import keyfile
from hakari.log.note import SigningKey
from hakari.log.roster import EdgeKey, Roster, sign_roster
from hakari.mqtt import BrokerSettings

OWNER = SigningKey("plant.example/owner", Ed25519PrivateKey.from_private_bytes(bytes(32)))
STRANGER = SigningKey("plant.example/owner", Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))


def told(namespace: str = "plant.example", site: str = "sola") -> Settings:
    owner = str(OWNER.verifier)
    edge = EdgeTable(namespace, site, "e1", "edge.pem", owner, "roster.note", "spool", 900)
    return Settings(edge=edge, broker=BrokerSettings(host="broker"), buses=[], meters=[])


def test_only_its_own_key_and_roster(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    public = keyfile.public_bytes(keyfile.create(tmp_path / "edge.pem"))
    other = keyfile.public_bytes(keyfile.create(tmp_path / "other.pem"))
    keys = [EdgeKey(edge, base64.b64encode(key).decode(), 0, 0, None, None) for edge, key in (
        ("sola-e1", public), ("sola-e2", other))]  # fmt: skip
    roster = tmp_path / "roster.note"
    roster.write_bytes(sign_roster(Roster("plant.example", 1, edges=keys), OWNER))
    assert keyfile.public_bytes(trusted(told(), tmp_path).key) == public
    assert not caplog.text
    swapped = msgspec.structs.replace(told(), edge=msgspec.structs.replace(told().edge, key_file="other.pem"))
    with pytest.raises(SettingsInvalid, match=r"\[edge\]\.key_file other\.pem is not the key that the roster has"):
        trusted(swapped, tmp_path)
    with pytest.raises(SettingsInvalid, match=r"is of namespace plant\.example"):
        trusted(told(namespace="another.example"), tmp_path)
    trusted(told(site="new"), tmp_path)
    assert "does not know edge new-e1 yet" in caplog.text
    roster.write_bytes(sign_roster(Roster("plant.example", 1, edges=keys), STRANGER))
    with pytest.raises(SettingsInvalid, match=r"roster is not signed by plant\.example/owner"):
        trusted(told(), tmp_path)
