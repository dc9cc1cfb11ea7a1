"""What InfluxDB's answers lead to: waited for, taken apart, or said to a person; no line is lost in silence."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hakari.influxdb import InfluxSettings
from hakari.store.influx import ATTEMPTS, Influx
from hakari.store.influx_answers import MAX_OFFENDERS, VERDICTS, Offender, Verdict, classify, retry_after_s
from hakari.store.view import ViewUnavailable
from simulate.layout import free_ports
from tests.unit.influx_fake import TOKEN, FakeInflux, Forced, said

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LINES = [f"m n={k}i {k}" for k in range(100)]


@pytest.fixture
def fake() -> Iterator[FakeInflux]:
    with FakeInflux() as server:
        yield server


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def influx(fake: FakeInflux, waits: list[float]) -> Iterator[Influx]:
    with closing(opened(fake.url, waits)) as one:
        yield one


def opened(url: str, waits: list[float], token: str = TOKEN) -> Influx:
    return Influx(InfluxSettings(url=url, token_file="unread", timeout_s=5.0), token, sleep=waits.append)


@pytest.mark.parametrize(
    ("status", "message", "verdict"),
    [
        (204, "", Verdict.FINE),
        (200, "", Verdict.FINE),
        (400, "unable to parse", Verdict.SPLIT),
        (422, "partial write: field type conflict dropped=1", Verdict.SPLIT),
        (422, "partial write: dropped 2 points outside retention policy of duration 24h0m0s", Verdict.PAUSE),
        (413, "", Verdict.SPLIT),
        (429, "", Verdict.LATER),
        (500, "", Verdict.LATER),
        (502, "", Verdict.LATER),
        (503, "", Verdict.LATER),
        (0, "Connection refused", Verdict.LATER),
        (0, "certificate verify failed", Verdict.PAUSE),
        (401, "unauthorized access", Verdict.PAUSE),
        (403, "insufficient permissions for write", Verdict.PAUSE),
        (404, "bucket not found", Verdict.PAUSE),
        (301, "", Verdict.PAUSE),
        (405, "", Verdict.PAUSE),
        (418, "", Verdict.PAUSE),
        (999, "", Verdict.PAUSE),
    ],
)
def test_every_answer_has_one_meaning(status: int, message: str, verdict: Verdict) -> None:
    assert classify(status, message)[0] is verdict


def test_whoever_is_told_to_pause_is_told_what_to_do() -> None:
    assert all(advice for *_, verdict, advice in VERDICTS if verdict in (Verdict.PAUSE, Verdict.LATER))
    assert all(classify(status, "")[1] for status in range(600) if classify(status, "")[0] is Verdict.PAUSE)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None), ("", None), ("soon", None), ("-5", None), ("1.5", None), ("0", 0.0), (" 7 ", 7.0),
        ("99999999999999999999", 3600.0), ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0), ("Thu, 01 Jan 2026 12:00:30", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0), ("Thu, 01 Jan 2099 12:00:00 GMT", 3600.0), ("²", None),
    ],
)  # fmt: skip
def test_retry_after(header: str | None, expected: float | None) -> None:
    assert retry_after_s(header, NOW) == expected


def test_lines_are_stored(influx: Influx, fake: FakeInflux) -> None:
    assert influx.write(LINES) == []
    assert fake.lines == LINES
    assert influx.write([]) == []
    assert fake.requests == [("/api/v2/write", fake.requests[0][1])]


@pytest.mark.parametrize("attribute", ["refuse", "drop"])
def test_only_offenders_are_given_back_and_all_others_are_stored(
    influx: Influx, fake: FakeInflux, attribute: str
) -> None:
    setattr(fake, attribute, r"n=(7|42|99)i")
    offenders = influx.write(LINES)
    assert [offender.at for offender in offenders] == [7, 42, 99]
    assert set(fake.lines) == set(LINES) - {LINES[7], LINES[42], LINES[99]}
    word = "unable to parse 'm n=7i 7': refused" if attribute == "refuse" else "field type conflict dropped=1"
    assert word in offenders[0].message
    with pytest.raises(ViewUnavailable, match=r"refuses 3 of 100 lines, the first because: .* look whether somebody"):
        influx.write_all(LINES)


def test_a_server_that_refuses_everything_is_at_fault_itself(influx: Influx, fake: FakeInflux) -> None:
    fake.refuse = "."
    many = [f"m n={k}i {k}" for k in range(5000)]
    with pytest.raises(ViewUnavailable, match=f"refuses more than {MAX_OFFENDERS} lines.*nothing is passed over"):
        influx.write(many)
    assert len(fake.requests) < 10 * MAX_OFFENDERS


def test_what_is_too_large_is_sent_in_parts(influx: Influx, fake: FakeInflux) -> None:
    fake.max_body_bytes = 120
    assert influx.write(LINES) == []
    assert sorted(fake.lines) == sorted(LINES)
    assert len(fake.requests) > 4
    fake.max_body_bytes = 1
    assert influx.write(LINES[:1]) == [Offender(0, "request too large")]


@pytest.mark.parametrize(
    "forced", [said(429, "slow down"), said(500, "panic"), said(503, "busy"), Forced(0), Forced(-1)]
)
def test_a_passing_trouble_is_tried_again(influx: Influx, fake: FakeInflux, forced: Forced, waits: list[float]) -> None:
    fake.forced += [forced] * (ATTEMPTS - 1)
    assert influx.write(LINES) == []
    assert fake.lines == LINES
    assert waits == [0.2, 0.4]


@pytest.mark.parametrize(
    ("forced", "match"),
    [
        (said(429, "slow down"), r"answers 429 \(slow down\); nothing was dropped: it asks to wait"),
        (said(503, "busy"), r"answers 503 \(busy\); nothing was dropped: look into its log"),
        (Forced(500, b"<html>\n<b>Oops</b>"), r"answers 500 \(<html> <b>Oops</b>\)"),
        (Forced(0), r"gives no answer \(.+\); nothing was dropped: check that it runs"),
        (Forced(-1), r"gives no answer \(.+\); nothing was dropped: check that it runs"),
    ],
)
def test_own_tries_are_bounded(influx: Influx, fake: FakeInflux, forced: Forced, match: str) -> None:
    fake.forced += [forced] * 9
    with pytest.raises(ViewUnavailable, match=match) as told:
        influx.write(LINES)
    assert len(fake.requests) == ATTEMPTS
    assert fake.lines == []
    assert "0x" not in str(told.value)


def test_a_short_wait_is_waited_and_a_long_one_handed_on(influx: Influx, fake: FakeInflux, waits: list[float]) -> None:
    fake.forced.append(said(429, "slow down", ("Retry-After", "1")))
    assert influx.write(LINES) == []
    assert waits == [1.0]
    fake.forced.append(said(503, "busy", ("Retry-After", "120")))
    with pytest.raises(ViewUnavailable) as told:
        influx.write(LINES)
    assert told.value.retry_after_s == 120.0
    assert waits == [1.0]


@pytest.mark.parametrize(
    ("forced", "match"),
    [
        (said(401, "unauthorized access"), "401 .*write a valid token"),
        (said(401, "write:orgs/1/buckets is unauthorized"), r"401 .*the rights that docs/ingest\.md names"),
        (said(403, "insufficient permissions for write"), r"403 .*the rights that docs/ingest\.md names"),
        (said(404, 'bucket "x" not found'), "404 .*hakari view init"),
        (said(302, "moved", ("Location", "http://elsewhere.example/")), r"302 .*\[influxdb\]\.url leads elsewhere"),
        (said(418, "teapot"), r"418 .*InfluxDB 2\.7"),
        (said(422, "dropped 9 points outside retention policy of duration 24h"), "422 .*set it to infinite"),
    ],
)
def test_what_a_person_must_mend_pauses_at_once(
    influx: Influx, fake: FakeInflux, forced: Forced, match: str, waits: list[float]
) -> None:
    fake.forced.append(forced)
    with pytest.raises(ViewUnavailable, match=match):
        influx.write(LINES)
    assert (fake.lines, len(fake.requests), waits) == ([], 1, [])


def test_no_server_and_another_kind_of_server(influx: Influx, fake: FakeInflux, waits: list[float]) -> None:
    dead = opened(f"http://127.0.0.1:{free_ports(1)[0]}", waits)
    with closing(dead), pytest.raises(ViewUnavailable, match=r"gives no answer \(Connection refused\)"):
        dead.bucket()
    for body in (b"<html>", b"\xff\xfe", b'{"buckets": 5}', b""):
        fake.forced.append(Forced(200, body))
        with pytest.raises(ViewUnavailable, match="an answer that is not InfluxDB 2's"):
            influx.bucket()
        fake.forced.append(Forced(200, body))
        with pytest.raises(ViewUnavailable, match="an answer that is not InfluxDB 2's"):
            influx.query("SELECT 1")
    wrong = opened(fake.url, waits, "another")
    with closing(wrong), pytest.raises(ViewUnavailable, match="write a valid token into"):
        wrong.write(LINES)


def test_no_proxy_of_the_environment_is_used(fake: FakeInflux, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, nowhere)
    for name in ("INFLUXDB_V2_URL", "INFLUXDB_V2_TOKEN", "INFLUXDB_V2_ORG"):
        monkeypatch.setenv(name, nowhere)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with closing(opened(fake.url, [])) as influx:
        assert influx.write(LINES) == []
    assert fake.lines == LINES


def test_tls_is_verified_against_the_systems_authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate, is not here")
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run([openssl, *words], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    with FakeInflux(context) as fake:
        waits: list[float] = []
        with closing(opened(fake.url, waits)) as influx, pytest.raises(ViewUnavailable, match="trust its authority"):
            influx.write(LINES)
        assert (fake.lines, waits) == ([], [])
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        with closing(opened(fake.url, [])) as influx:
            assert influx.write(LINES) == []
        assert fake.lines == LINES
