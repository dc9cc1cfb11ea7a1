"""The signed note that asks an edge something."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.log.note import SigningKey, sign
from hakari.log.request import (
    HEADER,
    MAX_BODY_CHARS,
    MAX_REQUEST_BYTES,
    Request,
    RequestInvalid,
    open_request,
    sign_request,
)

KEY = SigningKey("plant.example/engineer", Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32))
OTHER = SigningKey("plant.example/engineer", Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32))
ASKED = Request("sola-e1", 5, "diagnostics", 100, 200, "status")


def test_what_was_signed_is_what_is_read() -> None:
    for one in (ASKED, ASKED._replace(kind="configuration", body='é "x"\n日本')):
        assert open_request(sign_request(one, KEY), [KEY.verifier]) == one


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"edge": "Sola"}, "site-edge"),
        ({"kind": "reboot"}, "of kind"),
        ({"serial": 0}, "serial 0"),
        ({"serial": 2**53 + 1}, "serial"),
        ({"expires_s": 100}, "must expire later"),
        ({"expires_s": 100 + 32 * 86_400}, "at most 31 days"),
        ({"made_s": -1}, "must expire later"),
        ({"body": "reboot"}, "question 'reboot'"),
        ({"kind": "configuration", "body": "x" * (MAX_BODY_CHARS + 1)}, "limit 48000"),
        ({"kind": "configuration", "body": "\ud800"}, "surrogates"),
        ({"kind": "configuration", "body": "日" * 20_000}, "limit 65536"),
    ],
)
def test_what_is_beyond_its_limits_is_neither_signed_nor_read(change: dict[str, object], part: str) -> None:
    wrong = ASKED._replace(**change)  # type: ignore[arg-type]
    with pytest.raises(RequestInvalid, match=part):
        sign_request(wrong, KEY)
    with pytest.raises(RequestInvalid, match=part):
        open_request(sign(wrong.text(), KEY), [KEY.verifier])


@pytest.mark.parametrize(
    "text",
    [
        ASKED.text().replace(HEADER, "hakari request v2"),
        ASKED.text().replace(",", ", "),
        ASKED.text().replace('"serial":5', '"serial":5.0'),
        ASKED.text().replace('"serial":5', '"serial":true'),
        ASKED.text().replace('"serial":5', '"serial":5,"serial":5'),
        ASKED.text().replace("}", ',"more":1}'),
        f"{HEADER}\n[]\n",
        f"{HEADER}\n{'[' * 20_000}\n",
        f"{HEADER}\n{{\n",
    ],
)
def test_a_note_in_another_form_is_no_request(text: str) -> None:
    with pytest.raises(RequestInvalid):
        open_request(sign(text, KEY), [KEY.verifier])


def test_only_a_configurer_can_ask() -> None:
    for note in (sign_request(ASKED, OTHER), b"", b"hello", bytes(MAX_REQUEST_BYTES + 1)):
        with pytest.raises(RequestInvalid):
            open_request(note, [KEY.verifier])
    with pytest.raises(RequestInvalid, match="not signed by a configurer"):
        open_request(sign_request(ASKED, KEY), [])
