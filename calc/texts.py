"""What the commands of calc print for people: methodologies, periods, verdicts. Everything is in --json as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from calc.lost import RULE as MEASUREMENT_GAP
from calc.methodologies.base import Methodology
from calc.methodologies.declared import Quantity
from calc.verify import Verdict
from hakari.cli.output import printable, table
from hakari.ledger.result import (
    EquipmentUsed,
    Given,
    Input,
    Line,
    MethodologyUsed,
    ParameterUsed,
    PeriodResult,
    PointEvidence,
    Register,
)
from hakari.ledger.types import PeriodRecord
from hakari.period import time_text

MAX_LINES = 20
FOLDER = "folder"
_REFUSED = "refused"
_HEAD = (
    "period", "state", "methodology", "standing", "measured", "measured to", "completeness",
    "reference tCO2", "project emissions tCO2", "reductions tCO2", "whole t",
)  # fmt: skip
_RIGHT = (6, 7, 8, 9, 10)
_ORIGINS_JA = {
    "measured": "計測値",
    "received": "他の送信元からの受信値",
    "imported": "ファイルからの取込値",
    "declared": "人による申告値",
}


def methodology_text(one: Methodology) -> str:
    """Formula, parameters, classes, monitored quantities and standing of a methodology."""
    data = one.data
    lines = [f"{data.code} {data.version}  {data.title}", data.title_ja, f"standing: {data.standing}"]
    lines += [f"{one.notice} / {one.notice_ja}"] if one.notice else [f"approved by {data.approver}"]
    lines += [f"content: {one.sha256}", f"source: {data.source}", f"formula: {data.formula}", ""]
    lines.append(table(("name", "unit", "kind", "meaning"), declared_rows(one)))
    return "\n".join([*lines, *_class_lines(one)])


def declared_rows(one: Methodology) -> list[tuple[str, str, str, str]]:
    """Everything that a methodology declares: name, unit, kind, meaning."""
    data = one.data
    rows = [(p.name, p.unit, "ex ante", p.text) for p in data.parameter]
    rows += [(p.name, p.unit, "ex ante, each equipment", p.text) for p in data.equipment_parameter]
    rows += [(p.name, p.unit, "by class", p.text) for p in data.class_parameter]
    rows += [(p.name, p.unit, f"constant {p.value}, {p.standing}", p.text) for p in data.constant]
    return rows + [(q.name, q.unit, quantity_kind(q), q.text) for q in data.quantity]


def quantity_kind(quantity: Quantity) -> str:
    """How a quantity is measured, in a few words."""
    kind = "" if quantity.kind == "register" else ", hours above a threshold"
    return f"monitored, {quantity.role}{kind}{', shared' if quantity.shared else ''}"


def _class_lines(one: Methodology) -> list[str]:
    names = [p.name for p in one.data.class_parameter]
    rows = [(c.key, c.limits, *(c.values[name] for name in names), c.standing, c.source) for c in one.data.class_]
    return ["", table(("class", "limits", *names, "standing", "source"), rows)] if rows else []


def verdict_text(verdict: Verdict) -> str:
    """A verdict, and what its result was made of where it could be computed."""
    lines = [f"problem: {problem.entry}: {problem.text}" for problem in verdict.problems]
    lines += [f"note: {note}" for note in verdict.notes]
    lines += [f"not to be locked because {refusal}" for refusal in verdict.refusals[:MAX_LINES]]
    if len(verdict.refusals) > MAX_LINES:
        lines.append(f"not to be locked for {len(verdict.refusals) - MAX_LINES} more reasons; see --json")
    used = verdict.methodology
    if used is not None:
        notice = f" ({used.notice} / {used.notice_ja})" if used.notice else ""
        lines.append(f"{verdict.project} {verdict.label}: {used.code} {used.version}, {used.standing}{notice}")
        lines += _methodology_lines(used)
        lines.append(
            f"reference {_full(verdict.reference_tco2)} - project {_full(verdict.project_tco2)} = reductions"
            f" {_full(verdict.reductions_tco2)} tCO2, in whole tonnes {_full(verdict.reductions_whole_tco2)};"
            f" completeness {verdict.completeness}; computed from {verdict.leaves} signed leaves{_bodiless(verdict)}"
        )
    if verdict.result is not None:
        lines += _measured_lines(verdict.result)
    lines += [_parameter_text("parameter", one) for one in verdict.parameters]
    lines += [_parameter_text("constant", one) for one in (used.constants if used is not None else [])]
    lines += [line for one in verdict.equipment for line in _equipment_lines(one)]
    lines.append(f"project file {verdict.project_sha256}, roster serial {verdict.roster_serial or 'unknown'}")
    refused = verdict.ok and verdict.state == "provisional" and verdict.reductions_tco2 is None
    ok = "OK, but no total: a quantity is refused;" if refused else "OK:" if verdict.ok else "NOT OK:"
    lines.append(f"{ok} {verdict.meaning}")
    return "\n".join(map(printable, lines))


def _bodiless(verdict: Verdict) -> str:
    return f", of {verdict.bodiless} only the hash" if verdict.bodiless else ""


def _methodology_lines(used: MethodologyUsed) -> list[str]:
    """Both titles, the content hash and the formula of a methodology."""
    return [
        f"methodology {used.code} {used.version}: {used.title} / {used.title_ja}; content {used.sha256}",
        f"formula: {used.formula}",
    ]


def _measured_lines(result: PeriodResult) -> list[str]:
    """The period, a line for each input as its registers and leaves give it, and every line of the result."""
    zone = ZoneInfo(result.zone)
    start, end, to = (time_text(t, zone) for t in (result.start_ms, result.end_ms, result.measured_end_ms))
    return [
        f"period {start} to {end}, {result.zone}; measured to {to}",
        *(_input_text(one) for one in result.inputs),
        *(given_text(one, zone) for one in result.given),
        *(evidence_text(one, zone) for one in result.evidence),
        *(_line_text(one, zone) for one in result.lines),
    ]


def _input_text(one: Input) -> str:
    first, last = _register(one.start) or "no register", _register(one.end) or "no register"
    quantity = _REFUSED if one.quantity is None else f"{one.quantity} {one.unit}"
    leaves = " and ".join(f"{r.epoch}/{r.leaf}" for r in (one.start, one.end) if r) or "none"
    if one.energised_above:
        unit = one.start.unit if one.start else ""
        measured = f"above {one.energised_above} {unit}".rstrip() + f" for {quantity}, from {first} to {last}"
    else:
        measured = f"{last} − {first} = {quantity}"
    given = f"; {_origin_text(one.origin)}" if one.origin else ""
    name = f"{_measured_name(one)} {one.point} ({one.meter_serial})"
    return f"{name}: {measured}, leaves {leaves}; {_calibration(one)}{given}"


def _origin_text(origin: str) -> str:
    """That readings were not measured by an edge, in both languages."""
    ja = "、".join(_ORIGINS_JA.get(one, one) for one in origin.split(" and "))
    return f"NOT MEASURED BY AN EDGE: {origin} / エッジによる計測値ではない: {ja}"


def given_text(one: Given, zone: ZoneInfo) -> str:
    """Where readings that no edge measured came from, in both languages: who, why, which file or document, when."""
    head = f"given for {one.point}"
    more = f"; and {one.left_out} more sources, see --json / 他 {one.left_out} 件" if one.left_out else ""
    if one.imported_ms is None:
        return f"{head}: {one.origin} over MQTT, signed on receipt / MQTT で受信し、受信時に署名{more}"
    file = f"{one.name} (sha256 {one.sha256})"
    told = f"{time_text(one.imported_ms, zone)}, leaf {one.epoch}/{one.leaf}"
    if one.way == FOLDER:
        return (
            f"{head}: {one.origin} from folder {one.who}, nobody handed it in: file {file}, {told}"
            f" / 監視フォルダー {one.who} から取込（担当者なし）：ファイル {file}{more}"
        )
    document = f", document {one.document} (sha256 {one.document_sha256})" if one.document else ""
    document_ja = f"、証憑 {one.document}（sha256 {one.document_sha256}）" if one.document else ""
    return (
        f"{head}: {one.origin} by {one.who} from {file}{document}, because: {one.why}; {told}"
        f" / {one.who} が入力：{file}{document_ja}、理由：{one.why}{more}"
    )


def evidence_text(one: PointEvidence, zone: ZoneInfo) -> str:
    """What the edge's log says of a point: profile, commissioning, identity, suspensions, clock."""
    told = [f"profile {one.profile}, {f'proof {one.proof}' if one.proof else 'its proof not stated'}"]
    if one.commissioned_ms is not None:
        witness = f", witness {one.witness}" if one.witness else ""
        compared = f", {one.difference} off the display {one.display}" if one.display else ""
        coarse = ", scale not proven (accepted coarse)" if one.verdict not in {"", "matched"} else ""
        told.append(f"commissioned {time_text(one.commissioned_ms, zone)} by {one.by}{witness}{compared}{coarse}")
        told.append(f"leaf {one.epoch}/{one.leaf}")
    else:
        told.append("COMMISSIONED WITHOUT A RECORD" if one.unrecorded else "not commissioned")
    told += [f"identity proof {one.identity_proof}"] if one.identity_proof else []
    told += [
        f"suspended {time_text(span.start_ms, zone)} to {time_text(span.end_ms, zone)} ({span.text})"
        for span in one.suspended
    ]
    told.append("clock " + (", ".join(f"{state} in {n} leaves" for state, n in one.clocks.items()) or "of no leaf"))
    return f"evidence of {one.point}: {'; '.join(told)}"


def _calibration(one: Input) -> str:
    return f"accuracy class {one.accuracy_class}, certificate {one.certificate} valid to {one.calibration_valid_to}"


def _measured_name(one: Input) -> str:
    return f"{one.parameter}[{one.equipment}]" if one.equipment else one.parameter


def _parameter_text(what: str, one: ParameterUsed) -> str:
    approver = one.approver or "nobody"
    return f"{what} {one.name} = {one.value} {one.unit}, {one.standing}, approved by {approver}: {one.source}"


def _equipment_lines(one: EquipmentUsed) -> Iterator[str]:
    """An equipment with its class and service, its emissions in every year and each of its factors."""
    named = f"{one.units} × {one.class_}" if one.class_ else f"units {one.units}"
    until = f" until before {one.out_of_service}" if one.out_of_service else ""
    yield f"equipment {one.id}: {named}, in service from {one.in_service}{until}"
    for vintage in one.vintages:
        measured = ", ".join(f"{name} {value}" for name, value in vintage.quantities.items()) or _REFUSED
        yield (
            f"equipment {one.id}, {vintage.year}: {measured}; reference {_full(vintage.reference_tco2)} - project"
            f" {_full(vintage.project_tco2)} = reductions {_full(vintage.reductions_tco2)} tCO2"
        )
    yield from (_parameter_text(f"equipment {one.id}, parameter", given) for given in one.parameters)
    yield from (_parameter_text(f"equipment {one.id}, class value", value) for value in one.class_values)


def _line_text(one: Line, zone: ZoneInfo) -> str:
    """A line with when it was at the plant, how long, and what it did to the result."""
    start, end = time_text(one.start_ms, zone), time_text(one.end_ms, zone)
    measured = f", {one.quantity} {one.unit}" if one.quantity and one.unit != "h" else ""
    return f"{one.rule}: {one.point}, {start} to {end}, {one.hours} h{measured}, {one.effect}: {one.text}"


def _register(one: Register | None) -> str | None:
    return None if one is None else f"{one.value} {one.unit}"


def _full(value: object) -> object:
    return _REFUSED if value is None else value


def periods_table(results: Sequence[tuple[PeriodRecord, PeriodResult]]) -> str:
    """A line for each period."""
    return table(_HEAD, [_row(record, result) for record, result in results], _RIGHT)


def _row(record: PeriodRecord, result: PeriodResult) -> tuple[object, ...]:
    used = result.methodology
    measured = ", ".join(
        f"{name} {_short(value)} {unit}"
        for name, value, unit in ((_measured_name(i), i.quantity, i.unit) for i in result.inputs)
    )
    standing = f"{used.standing}*" if used.notice else used.standing
    given = [*result.parameters, *(value for one in result.equipment for value in one.parameters)]
    demo = sorted({one.standing for one in given} - {"published"})
    standing = f"{standing}, parameters {'/'.join(demo).upper()}" if demo else standing
    totals = (result.reference_tco2, result.project_tco2, result.reductions_tco2)
    return (
        record.period_id, record.state, f"{used.code} {used.version}", standing, measured,
        time_text(result.measured_end_ms, ZoneInfo(result.zone))[:10],
        result.completeness, *(_short(one) for one in totals), _full(result.reductions_whole_tco2),
    )  # fmt: skip


def _short(value: str | None) -> str:
    """A figure for a table: at most six places, the rest cut off; the full one is in --json."""
    if value is None:
        return _REFUSED
    whole, dot, places = value.partition(".")
    return f"{whole}{dot}{places[:6]}"


def period_text(record: PeriodRecord, result: PeriodResult) -> str:
    """A period with its parameters, registers and lines."""
    zone = ZoneInfo(result.zone)
    lines = [
        _period_head(record, result, zone),
        *map(printable, _methodology_lines(result.methodology)),
        "",
        table(
            ("parameter", "value", "unit", "standing", "source"),
            [(one.name, one.value, one.unit, one.standing.upper(), one.source) for one in result.parameters],
            right=(1,),
        ),
        "",
        table(
            ("quantity", "point", "register at start", "register at end", "difference", "unit", "leaves"),
            [
                (
                    _measured_name(one), one.point, _register(one.start), _register(one.end),
                    _full(one.quantity), one.unit,
                    " ".join(f"{r.epoch}/{r.leaf}" for r in (one.start, one.end) if r),
                )
                for one in result.inputs
            ],
            right=(2, 3, 4),
        ),
    ]  # fmt: skip
    more = [f"{_measured_name(i)} {i.point}: {_origin_text(i.origin)}" for i in result.inputs if i.origin]
    more += [given_text(one, zone) for one in result.given]
    more += [evidence_text(one, zone) for one in result.evidence]
    more += [line for one in result.equipment for line in _equipment_lines(one)]
    first = sorted(result.lines, key=lambda one: one.rule != MEASUREMENT_GAP)
    more += [_line_text(one, zone) for one in first[:MAX_LINES]]
    if len(result.lines) > MAX_LINES:
        more.append(f"{len(result.lines) - MAX_LINES} more lines; see --json")
    more += [f"not to be locked because {refusal}" for refusal in result.refusals]
    return "\n".join([*lines, *map(printable, more)])


def _period_head(record: PeriodRecord, result: PeriodResult, zone: ZoneInfo) -> str:
    start, end = time_text(result.start_ms, zone), time_text(result.measured_end_ms, zone)
    used = result.methodology
    notice = f"\n{used.notice} / {used.notice_ja}" if used.notice else ""
    return (
        f"{record.period_id}  {record.state}  {start} to {end}\n{used.code} {used.version}, {used.standing}{notice}\n"
        f"reference {_full(result.reference_tco2)}  project {_full(result.project_tco2)}"
        f"  reductions {_full(result.reductions_tco2)} tCO2  whole tonnes {_full(result.reductions_whole_tco2)}"
        f"  completeness {result.completeness}"
    )
