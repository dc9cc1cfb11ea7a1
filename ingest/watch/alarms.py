"""Alarms: which conditions stand, for how long, and what that changes. Pure; minutes are those of plant time.

Guaranteed: an alarm is raised once and cleared once, whatever restarts lie between; one whose condition cannot be
judged (its edge is silent, its view cannot be read) is held as it is, so that none ends by silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

MAX_DETAIL_CHARS = 300
MAX_ALARMS = 20_000

Severity = Literal["critical", "warning"]


class Kind(NamedTuple):
    """A kind of alarm: after how many minutes it is raised and cleared, and its sentence in both languages."""

    severity: Severity
    raise_minutes: int
    clear_minutes: int
    english: str
    japanese: str


KINDS: dict[str, Kind] = {
    "edge-silent": Kind("critical", 1, 1, "No leaf of the edge arrives", "エッジからリーフが届きません"),
    "edge-frozen": Kind(
        "critical",
        0,
        1,
        "Two signed histories of the edge: its epoch is frozen",
        "署名履歴の不一致によりエポックを凍結",
    ),
    "epoch-unapproved": Kind("warning", 60, 1, "An epoch is not in the roster", "名簿で未承認のエポックがあります"),
    "outbox-old": Kind("warning", 5, 5, "The edge delivers what it measured long ago", "エッジの送信が遅れています"),
    "clock": Kind("warning", 5, 5, "The edge's clock is wrong", "エッジの時計が正しくありません"),
    "time-unknown": Kind(
        "warning",
        2,
        1,
        "The edge's samples wait until its time is known",
        "エッジの時刻が確定するまで測定値を保留しています",
    ),
    "certificate": Kind("warning", 1, 1, "The edge's certificate ends soon", "エッジの証明書の期限が近づいています"),
    "meter-silent": Kind("warning", 1, 1, "The meter gives no good reading", "計器から良好な測定値が得られません"),
    "register-silent": Kind(
        "warning", 1, 1, "A counter of the meter gives no good reading", "計器の積算値が得られません"
    ),
    "meter-frozen": Kind("warning", 1, 1, "The meter repeats itself word for word", "計器が同じ応答を繰り返しています"),
    "out-of-range": Kind("warning", 1, 5, "Readings are not usable", "測定値が使用できません"),
    "counter-backward": Kind("warning", 0, 1, "A counter fell", "積算値が低下しました"),
    "counter-step": Kind("warning", 0, 1, "A counter rose beyond capacity", "積算値が設備容量を超えて増加しました"),
    "counter-still": Kind(
        "warning", 0, 1, "A counter stands still while power flows", "電力が流れているのに積算値が動きません"
    ),
    "power-energy": Kind("warning", 0, 1, "Power and energy do not agree", "電力と電力量が一致しません"),
    "pair": Kind("warning", 0, 1, "Main and check meter differ", "主計器と照合計器が一致しません"),
    "sum": Kind("warning", 0, 1, "The parts do not add up to the feeder", "各計器の合計がフィーダーと一致しません"),
    "future": Kind("warning", 0, 1, "Readings lie in the future", "未来の時刻の測定値があります"),
    "before-commissioning": Kind(
        "warning", 0, 1, "Readings lie before commissioning", "検収前の時刻の測定値があります"
    ),
    "refused": Kind("warning", 0, 1, "Leaves give no readings", "測定値にできないリーフがあります"),
    "quarantine": Kind("warning", 0, 1, "Messages go into quarantine", "受信データが隔離されています"),
    "key-refused": Kind(
        "critical", 0, 1, "Messages by an unknown or ended key are refused", "未知または失効した鍵による受信を拒否"
    ),
    "key-ended": Kind(
        "critical",
        0,
        1,
        "A revoked or exchanged key still signs: is the device stolen?",
        "失効した鍵で署名された受信があります（盗難の可能性）",
    ),
    "disk": Kind("critical", 1, 5, "The disk of the evidence log is nearly full", "証跡ログのディスク残量不足"),
    "source-stopped": Kind("critical", 1, 1, "A source of another sender does not work", "外部ソースが停止しています"),
    "view-away": Kind("critical", 1, 1, "The readings view cannot be reached", "測定値ビューに到達できません"),
    "view-behind": Kind("warning", 15, 5, "The readings view lags behind", "測定値ビューが遅れています"),
}


class Subject(NamedTuple):
    """What an alarm is about: its kind, and the edge, `edge/meter` or point; "" for ingest as a whole."""

    kind: str
    name: str

    @property
    def edge_id(self) -> str:
        """The edge, "" where it is about none."""
        return self.name.split("/", 1)[0]

    @property
    def meter(self) -> str:
        """The meter's id, "" where it is about none."""
        return self.name.partition("/")[2].split("/", 1)[0]


class Alarm(NamedTuple):
    """One condition: `since_ms` is when it was first seen, or first seen gone while `raised`; `raised_ms` None before.

    `id` is its number, the same from being raised to being cleared; 0 while it was not raised yet.
    """

    subject: Subject
    detail: str
    since_ms: int
    raised_ms: int | None = None
    going: bool = False
    id: int = 0


class Change(NamedTuple):
    """An alarm that was raised or cleared, at plant time `at_ms`."""

    alarm: Alarm
    at_ms: int
    cleared: bool


Conditions = Mapping[Subject, str]
Unjudged = Callable[[Subject], bool]


class Alarms:
    """The alarms as they stand; `next_id` numbers the next one."""

    def __init__(self, standing: Iterable[Alarm] = (), next_id: int = 1) -> None:
        self.standing: dict[Subject, Alarm] = {alarm.subject: alarm for alarm in standing}
        self.next_id = next_id

    @property
    def raised(self) -> list[Alarm]:
        """Those that stand now, the oldest first."""
        return sorted(
            (one for one in self.standing.values() if one.raised_ms is not None), key=lambda one: (one.raised_ms, one)
        )

    def flags(self) -> dict[str, str]:
        """The kinds of alarms that stand, by edge and by `edge/meter`, in order with a space between."""
        found: dict[str, set[str]] = {}
        for alarm in self.raised:
            for name in {alarm.subject.edge_id, "/".join(alarm.subject.name.split("/")[:2])}:
                found.setdefault(name, set()).add(alarm.subject.kind)
        return {name: " ".join(sorted(kinds)) for name, kinds in found.items()}

    def minute(self, now_ms: int, conditions: Conditions, unjudged: Unjudged) -> list[Change]:
        """Takes the conditions of one minute; what it raised and cleared.

        A subject for which `unjudged` says yes stays as it is, unless its condition is among them.
        """
        changes: list[Change] = []
        for subject in [*conditions, *(one for one in self.standing if one not in conditions)]:
            detail = conditions.get(subject)
            if detail is not None:
                self._there(now_ms, subject, detail[:MAX_DETAIL_CHARS], changes)
            elif not unjudged(subject):
                self._gone(now_ms, subject, changes)
        return changes

    def _there(self, now_ms: int, subject: Subject, detail: str, changes: list[Change]) -> None:
        known = self.standing.get(subject)
        if known is None:
            if len(self.standing) >= MAX_ALARMS:
                return
            known = Alarm(subject, detail, now_ms)
        known = known._replace(detail=detail, going=False)
        if known.raised_ms is None and now_ms - known.since_ms >= KINDS[subject.kind].raise_minutes * 60_000:
            known = known._replace(raised_ms=now_ms, id=self.next_id)
            self.next_id += 1
            changes.append(Change(known, now_ms, cleared=False))
        self.standing[subject] = known

    def _gone(self, now_ms: int, subject: Subject, changes: list[Change]) -> None:
        known = self.standing[subject]
        if known.raised_ms is None:
            del self.standing[subject]
            return
        if not known.going:
            known = self.standing[subject] = known._replace(going=True, since_ms=now_ms)
        if now_ms - known.since_ms >= (KINDS[subject.kind].clear_minutes - 1) * 60_000:
            del self.standing[subject]
            changes.append(Change(known, now_ms, cleared=True))


def sentence(alarm: Alarm, language: str) -> str:
    """What an alarm says to a person, in `en` or `ja`; its detail is English."""
    kind = KINDS[alarm.subject.kind]
    said = kind.japanese if language == "ja" else kind.english
    about = f"{alarm.subject.name}: " if alarm.subject.name else ""
    return f"{about}{said}" + (f" ({alarm.detail})" if alarm.detail else "")
