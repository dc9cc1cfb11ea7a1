"""What the edge signs with and whom it trusts: its key and the owner's roster, refused where they do not fit it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.settings import Settings, SettingsInvalid, edge_id_of
from hakari.log.keyfile import load, public_bytes
from hakari.log.note import VerifierKey, decode64
from hakari.log.roster import Roster, RosterInvalid
from hakari.log.rosterfile import read
from hakari.settings import within

_log = logging.getLogger("hakari.edge")


class Trust(NamedTuple):
    """The edge's private key and the roster."""

    key: Ed25519PrivateKey
    roster: Roster


def trusted(told: Settings, folder: Path) -> Trust:
    """Key and roster that `told` names.

    SettingsInvalid when the roster is not the owner's, is for another namespace or knows this edge by another
    key only: what would be signed then, nobody could ever take. An edge that is not in it yet goes on.
    """
    path = within(folder, told.edge.roster_file)
    try:
        roster = read(path, VerifierKey.parse(told.edge.owner_key))
    except RosterInvalid as error:
        raise SettingsInvalid(f"[edge].roster_file {path}: {error}; check it and [edge].owner_key") from error
    if roster.namespace != told.edge.namespace:
        raise SettingsInvalid(
            f"[edge].roster_file {path} is of namespace {roster.namespace},"
            f" [edge].namespace is {told.edge.namespace}; exchange one"
        )
    key = load(within(folder, told.edge.key_file))
    edge_id = edge_id_of(told)
    known = [decode64(one.key, "edge key") for one in roster.edges if one.edge == edge_id]
    if not known:
        _log.warning("the roster does not know edge %s yet; what it signs is stored once the owner enrols it", edge_id)
    elif public_bytes(key) not in known:
        raise SettingsInvalid(
            f"[edge].key_file {told.edge.key_file} is not the key that the roster has for {edge_id};"
            " give the right file, or let the owner enrol this key"
        )
    return Trust(key, roster)
