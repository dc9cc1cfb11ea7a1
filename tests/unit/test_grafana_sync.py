"""`hakari grafana check|sync` against a small fake of the routes that it uses: no Grafana runs here."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from grafana.alerts import ALERTS
from grafana.build import dashboards
from grafana.remote import GrafanaRefused, major
from grafana.sync import holds
from hakari.cli.root import main
from tests.unit.grafana_fake import TOKEN, FakeGrafana

ITEMS = 2 + 1 + len(dashboards()) + len(ALERTS)


class Ended(NamedTuple):
    code: int
    said: Any
    error: str


class Operator:
    """Someone who types the commands against one Grafana."""

    def __init__(self, fake: FakeGrafana, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.fake = fake
        self.capsys = capsys
        self.token = folder / "grafana.token"
        self.token.write_text(f"{TOKEN}\n")
        self.read_token = folder / "read.token"
        self.read_token.write_text("read-only\n")

    def run(self, command: str, *more: str, url: str = "", influx: bool = True) -> Ended:
        given = ["--url", url or self.fake.url, "--token-file", str(self.token)]
        if influx:
            given += ["--influx-url", "http://influxdb:8086", "--influx-token-file", str(self.read_token)]
        code = main(["grafana", command, *given, *more, "--json"])
        out, err = self.capsys.readouterr()
        return Ended(code, json.loads(out) if out.strip() else None, err)

    def states(self, *words: str, **more: Any) -> dict[str, str]:
        """uid → state."""
        return {item["uid"]: item["state"] for item in self.run(*words, **more).said["items"]}


@pytest.fixture
def fake() -> Iterator[FakeGrafana]:
    with FakeGrafana() as running:
        yield running


@pytest.fixture
def operator(fake: FakeGrafana, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(fake, tmp_path, capsys)


def test_check_tells_and_writes_nothing_sync_writes_and_a_second_one_nothing(operator: Operator) -> None:
    before = operator.run("check")
    assert before.code == 5
    assert before.said["differing"] == ITEMS
    assert {item["state"] for item in before.said["items"]} == {"missing"}
    assert operator.fake.writes == []

    first = operator.run("sync")
    assert first.code == 0
    assert {item["state"] for item in first.said["items"]} == {"created"}
    assert len(operator.fake.writes) == ITEMS
    assert operator.fake.dashboards["hakari-fleet-ja"]["meta"]["folderUid"] == "hakari"
    assert operator.fake.sources["hakari-flux"]["secureJsonData"] == {"token": "read-only"}

    second = operator.run("sync")
    assert {item["state"] for item in second.said["items"]} == {"unchanged"}
    assert len(operator.fake.writes) == ITEMS
    assert operator.run("check").code == 0


def test_what_somebody_changed_is_found_and_mended_alone(operator: Operator) -> None:
    operator.run("sync")
    operator.fake.dashboards["hakari-plant"]["dashboard"]["panels"][1]["title"] = "renamed"
    operator.fake.rules["hakari-metersilent"]["noDataState"] = "OK"
    operator.fake.sources["hakari-influxql"]["url"] = "http://elsewhere"
    operator.fake.writes.clear()
    checked = operator.run("check")
    assert checked.code == 5
    differing = {item["uid"] for item in checked.said["items"] if item["state"] == "differs"}
    assert differing == {"hakari-plant", "hakari-metersilent", "hakari-influxql"}
    assert {uid for uid, state in operator.states("sync").items() if state == "updated"} == differing
    assert len(operator.fake.writes) == 3
    assert operator.run("check").code == 0


def test_a_panel_that_was_added_or_a_dashboard_that_was_moved_is_a_difference(operator: Operator) -> None:
    operator.run("sync")
    operator.fake.dashboards["hakari-plant"]["dashboard"]["panels"].append({"type": "text"})
    operator.fake.dashboards["hakari-quality"]["meta"]["folderUid"] = "elsewhere"
    states = operator.states("check")
    assert (states["hakari-plant"], states["hakari-quality"]) == ("differs", "differs")


def test_another_read_token_is_a_difference(operator: Operator) -> None:
    operator.run("sync")
    operator.read_token.write_text("renewed\n")
    assert operator.states("check")["hakari-flux"] == "differs"
    operator.run("sync")
    assert operator.fake.sources["hakari-influxql"]["secureJsonData"] == {"httpHeaderValue1": "Token renewed"}
    assert "renewed" not in json.dumps(operator.fake.sources["hakari-flux"]["jsonData"])


def test_a_fault_in_the_middle_is_said_and_a_second_run_completes(operator: Operator) -> None:
    operator.fake.fail_after = 5
    stopped = operator.run("sync")
    assert stopped.code == 4
    sentence = json.loads(stopped.error)["error"]
    assert "dashboard hakari-plant: Grafana at http" in sentence
    assert "answered 500" in sentence
    assert f"5 of {ITEMS} were written before and stay; run it again" in sentence
    operator.fake.fail_after = None
    states = operator.states("sync")
    assert sorted(states.values()).count("unchanged") == 5
    assert set(states.values()) == {"unchanged", "created"}
    assert operator.run("check").code == 0


def test_nothing_is_deleted_but_what_is_ours_and_only_when_told_to(operator: Operator) -> None:
    operator.run("sync")
    old = {"uid": "hakari-old", "title": "old", "tags": ["hakari"], "version": 1}
    theirs = {"uid": "theirs", "title": "theirs", "tags": [], "version": 1}
    for board in (old, theirs):
        operator.fake.dashboards[str(board["uid"])] = {"dashboard": board, "meta": {"folderUid": "hakari"}}
    operator.fake.rules["old-rule"] = {"uid": "old-rule", "labels": {"source": "hakari"}, "folderUID": "hakari"}
    operator.fake.rules["their-rule"] = {"uid": "their-rule", "labels": {}, "folderUID": "hakari"}
    operator.fake.rules["far-rule"] = {"uid": "far-rule", "labels": None, "folderUID": "far"}
    found = operator.states("sync")
    assert (found["hakari-old"], found["theirs"]) == ("left over", "foreign")
    assert (found["old-rule"], found["their-rule"]) == ("left over", "foreign")
    assert "far-rule" not in found
    assert operator.run("check").code == 5
    assert operator.states("sync", "--prune")["hakari-old"] == "deleted"
    assert set(operator.fake.rules) - {alert.uid for alert in ALERTS} == {"their-rule", "far-rule"}
    assert "theirs" in operator.fake.dashboards
    assert operator.run("check").code == 0


@pytest.mark.parametrize("version", ["11.0.0", "12.1.0-85533.patch3-85777", "11.6.1+security-01", "v13.0.0-pre"])
def test_versions_that_are_new_enough(operator: Operator, version: str) -> None:
    operator.fake.version = version
    assert operator.run("sync").code == 0


@pytest.mark.parametrize("version", ["10.4.19+security-01", "9.5.2", "nightly"])
def test_versions_that_are_refused(operator: Operator, version: str) -> None:
    operator.fake.version = version
    ended = operator.run("sync")
    assert ended.code == 6
    assert version in ended.error
    assert operator.fake.writes == []


def test_the_leading_digits_of_a_version() -> None:
    assert major("11.0.0-ent.2") == 11
    with pytest.raises(GrafanaRefused, match="no number"):
        major("main")


def test_a_token_that_is_not_known_or_may_not(operator: Operator) -> None:
    operator.token.write_text("wrong\n")
    assert operator.run("check").code == 6
    operator.token.write_text(TOKEN)
    operator.fake.denied = 403
    ended = operator.run("sync")
    assert ended.code == 6
    assert "role Admin" in ended.error


def test_nobody_listens_or_it_is_no_grafana(operator: Operator) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert operator.run("check", url=f"http://127.0.0.1:{unused.getsockname()[1]}").code == 4
    operator.fake.body = b"<html>a proxy</html>"
    ended = operator.run("check")
    assert ended.code == 4
    assert "is not a Grafana (it does not say its version): check address and path" in ended.error
    operator.fake.body = b"[]"
    assert operator.run("sync").code == 4
    operator.fake.body = None
    for command in ("check", "sync"):
        ended = operator.run(command, url=f"{operator.fake.url}/elsewhere")
        assert ended.code == 4
        assert "is not a Grafana (it answers 404): check address and path" in ended.error
    operator.fake.denied = 401
    for said in (b'{"code":"unauthorized","message":"unauthorized access"}', b"<html>who are you?</html>"):
        operator.fake.body = said  # InfluxDB, and a proxy
        ended = operator.run("check")
        assert ended.code == 4
        assert "is not a Grafana (it answers 401): check address and path" in ended.error


def test_a_path_before_the_api_is_kept_with_or_without_its_slash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeGrafana(prefix="/grafana") as fake:
        operator = Operator(fake, tmp_path, capsys)
        assert operator.run("sync").code == 0
        assert operator.run("check", url=f"{fake.url}/").code == 0


def test_a_data_source_that_does_not_work_is_said(operator: Operator) -> None:
    operator.fake.sick.add("hakari-flux")
    ended = operator.run("sync")
    assert ended.code == 4
    assert "unauthorized access" in ended.error
    operator.fake.sick.clear()
    operator.run("sync")
    operator.fake.sick.add("hakari-influxql")
    assert operator.run("check").code == 4


def test_without_an_influxdb_the_data_sources_must_be_there(operator: Operator) -> None:
    ended = operator.run("sync", influx=False)
    assert ended.code == 3
    assert "--influx-url" in ended.error
    assert operator.fake.writes == []
    operator.run("sync")
    assert operator.run("sync", influx=False).code == 0


def test_somebody_elses_dashboard_or_rule_with_our_uid_is_not_written_over(operator: Operator) -> None:
    board = {"uid": "hakari-fleet", "title": "mine", "tags": [], "version": 3}
    operator.fake.dashboards["hakari-fleet"] = {"dashboard": board, "meta": {"folderUid": ""}}
    assert operator.run("sync").code == 6
    assert operator.fake.writes == []
    del operator.fake.dashboards["hakari-fleet"]
    operator.fake.rules["hakari-edgesilent"] = {"uid": "hakari-edgesilent", "labels": {}, "folderUID": "x"}
    assert operator.run("sync").code == 6


def test_rules_can_be_changed_in_grafana_only_when_asked_for(operator: Operator) -> None:
    operator.run("sync")
    assert {rule["provenance"] for rule in operator.fake.rules.values()} == {"api"}
    operator.fake.rules.clear()
    operator.run("sync", "--editable", "--docs-url", "https://wiki.example/hakari/")
    assert {rule["provenance"] for rule in operator.fake.rules.values()} == {""}
    link = operator.fake.rules["hakari-metersilent"]["annotations"]["runbook_url"]
    assert link == "https://wiki.example/hakari/grafana.md#metersilent"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--url"),
        (("--url", "http://g"), "--token-file"),
        (("--url", "ftp://g", "--token-file", "TOKEN"), "must be http"),
        (("--url", "http://user:word@g", "--token-file", "TOKEN"), "without a password"),
        (("--url", "http://g:99999999", "--token-file", "TOKEN"), "port"),
        (("--url", "http://g", "--token-file", "absent"), "cannot be read"),
        (("--url", "http://g", "--token-file", "EMPTY"), "one token"),
        (("--url", "http://g", "--token-file", "TOKEN", "--influx-url", "http://i"), "go together"),
    ],
)
def test_bad_options_are_bad_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "TOKEN").write_text("token\n")
    (tmp_path / "EMPTY").write_text("\n")
    placed = [str(tmp_path / word) if word.isupper() else word for word in words]
    assert main(["grafana", "check", *placed]) == 3
    assert said in capsys.readouterr().err


def test_everything_of_ours_must_stand_in_what_is_there() -> None:
    assert holds({"a": 1, "added": 2, "l": [{"x": 1, "y": 2}]}, {"a": 1, "l": [{"x": 1}]})
    assert not holds({"a": 1}, {"a": 1, "b": 2})
    assert not holds({"l": [1, 2]}, {"l": [1]})
    assert not holds({"a": True}, {"a": 1})
    assert holds({}, {"empty": None, "off": False, "none": []})
    assert not holds({"off": True}, {"off": False})
    assert not holds(None, {})


def test_rules_that_were_synced_before_become_editable_when_asked_for(operator: Operator) -> None:
    operator.run("sync")
    operator.run("sync", "--editable")
    assert {rule["provenance"] for rule in operator.fake.rules.values()} == {""}
    written = len(operator.fake.writes)
    operator.run("sync", "--editable")
    assert len(operator.fake.writes) == written
