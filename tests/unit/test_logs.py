"""Log lines: one an event, in text or JSON, with the trace of a leaf and without a secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator

import pytest

from hakari import logs
from hakari.names import Origin

_log = logging.getLogger("hakari.test")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What was logged; the root logger is put back as it was."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    monkeypatch.setattr(logs, "_secrets", set())
    yield lambda: capsys.readouterr().err
    root.handlers[:] = before
    root.setLevel(level)


def test_json_lines_have_the_trace_and_never_a_line_feed(lines: Callable[[], str]) -> None:
    logs.set_up({"HAKARI_LOG_FORMAT": "json"})
    _log.warning("two\nlines of %s", "sola-e1", extra=logs.trace(Origin("plant.example", "sola-e1", 1700), 12))
    (line,) = lines().splitlines()
    told = json.loads(line)
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "warning", "logger": "hakari.test", "message": "two\nlines of sola-e1", "trace": "sola-e1/1700/12",
    }  # fmt: skip


def test_text_lines_end_with_the_trace(lines: Callable[[], str]) -> None:
    logs.set_up({})
    _log.warning("stored", extra=logs.trace(Origin("plant.example", "sola-e1", 1700), 12))
    _log.warning("plain")
    first, second = lines().splitlines()
    assert first.endswith("WARNING hakari.test stored [sola-e1/1700/12]")
    assert second.endswith("WARNING hakari.test plain")


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_line_shows_what_was_guarded(lines: Callable[[], str], form: str) -> None:
    logs.set_up({"HAKARI_LOG_FORMAT": form})
    assert logs.guard("hunter2-and-more") == "hunter2-and-more"
    logs.guard("hunter2")
    _log.warning("refused %s", "hunter2-and-more")
    try:
        raise ValueError("https://user:{}@host".format("hunter" + "2"))  # noqa: TRY301 - its traceback is what is looked at
    except ValueError:
        _log.exception("failed")
    said = lines()
    assert "hunter2" not in said
    assert said.count("[secret]") >= 2


def test_another_format_is_refused() -> None:
    with pytest.raises(logs.LogFormatUnknown, match="HAKARI_LOG_FORMAT is 'xml'; it must be one of text, json"):
        logs.set_up({"HAKARI_LOG_FORMAT": "xml"})
