from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.spool import LINK, LINK_SINCE, Spool
from edge.spool_peek import SpoolUnread
from edge.status import shown, status
from hakari.errors import NOT_REACHABLE
from hakari.log.note import SigningKey
from hakari.mqtt import Link

OWNER = str(SigningKey("plant.example/owner", Ed25519PrivateKey.from_private_bytes(bytes(32))).verifier)


def test_status(tmp_path: Path) -> None:
    config = tmp_path / "edge.toml"
    config.write_text((Path(__file__).parent / "edge.toml").read_text().replace("OWNER", OWNER))
    with pytest.raises(SpoolUnread, match="start the edge: hakari edge run") as caught:
        status(config)
    assert caught.value.exit_code == NOT_REACHABLE
    # A name that is no plain address of a file.
    spool = Spool(str(tmp_path / "spool #1?.db"))
    spool.open_epoch(1700)
    with spool.transaction():
        spool.put_number(LINK, Link.REFUSED)
        spool.put_number(LINK_SINCE, 1_467_356_400_000)
    told = status(config)
    assert (told.link, told.link_since_ms) == (
        "refused by the broker (user, password or certificate)",
        1_467_356_400_000,
    )
    assert [(one.epoch, one.size, one.mark, one.closed) for one in told.epochs] == [(1700, 0, 0, False)]
    assert "refused by the broker (user, password or certificate) (since 2016-07-01T07:00:00+00:00)" in shown(told)
    spool.close()
    (tmp_path / "spool #1?.db").write_bytes(b"something else entirely")
    with pytest.raises(SpoolUnread, match=r"cannot be read: .*; check \[edge\]\.spool"):
        status(config)
