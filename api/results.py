"""From the ledger's record of a period to what the API shows: nothing computed, every origin linked."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec

from api import models
from api.links import leaf_link, period_link, project_link, reading_link
from api.statements import StatementKeys, result_of
from hakari.ledger import result as results
from hakari.ledger.types import FINAL, PeriodRecord
from hakari.period import time_text, zone_of


def summary(period: PeriodRecord, keys: StatementKeys, *, has_pack: bool) -> models.PeriodSummary:
    """A period for a list. Errors: DataProblem where `result_of` refuses it."""
    return _summary(period, result_of(period, keys), has_pack=has_pack)


def _summary(period: PeriodRecord, result: results.PeriodResult, *, has_pack: bool) -> models.PeriodSummary:
    zone = zone_of(period.zone)
    here = period_link(period.period_id)
    return models.PeriodSummary(
        period_id=period.period_id,
        project_id=period.project_id,
        kind=period.kind,
        version=period.version,
        state=period.state,
        credits=period.state in FINAL - {"superseded"} and result.state == "locked",
        standing=result.methodology.standing,
        notice=result.methodology.notice,
        notice_ja=result.methodology.notice_ja,
        monitoring_period=models.Span(
            start=time_text(period.start_ms, zone),
            end=time_text(period.end_ms, zone),
            measured_end=time_text(result.measured_end_ms, zone),
            zone=period.zone,
            label=result.label,
        ),
        totals=_totals(result),
        completeness=result.completeness,
        result_sha256=period.result_sha256,
        computed_at=time_text(period.computed_ms, zone),
        links=models.PeriodLinks(
            self=here,
            project=project_link(period.project_id),
            pack=f"{here}/pack" if has_pack else None,
            supersedes=None if period.supersedes is None else period_link(period.supersedes),
        ),
    )


def detail(period: PeriodRecord, keys: StatementKeys, *, has_pack: bool) -> models.PeriodDetail:
    """A period with every input's origin. Errors: DataProblem where `result_of` refuses it."""
    result = result_of(period, keys)
    zone = zone_of(period.zone)
    return models.PeriodDetail(
        **dict(_summary(period, result, has_pack=has_pack)),
        methodology=models.MethodologyUsed(
            **msgspec.structs.asdict(result.methodology) | {"constants": _parameters(result.methodology.constants)}
        ),
        rules=models.Rules(version=result.rules_version, sha256=result.rules_sha256),
        project_sha256=result.project_sha256,
        vintages=[_vintage(one, zone) for one in result.vintages],
        inputs=[_input(one, zone) for one in result.inputs],
        parameters=_parameters(result.parameters),
        lines=[_line(one, zone) for one in result.lines],
        cuts=[models.Cut(**msgspec.structs.asdict(one)) for one in result.cuts],
        configurations=result.configurations,
        refusals=result.refusals,
        equipment=[_equipment(one) for one in result.equipment],
        evidence=[_evidence(one, zone) for one in result.evidence],
        given=[_given(one, zone) for one in result.given],
        statement=period.statement,
    )


def _parameters(used: Sequence[results.ParameterUsed]) -> list[models.Parameter]:
    return [models.Parameter(**msgspec.structs.asdict(one)) for one in used]


def _equipment(used: results.EquipmentUsed) -> models.Equipment:
    return models.Equipment.model_validate(
        {
            "id": used.id,
            "class": used.class_,
            "units": used.units,
            "in_service": used.in_service,
            "out_of_service": used.out_of_service,
            "parameters": _parameters(used.parameters),
            "class_values": _parameters(used.class_values),
            "vintages": [models.EquipmentVintage(**msgspec.structs.asdict(one)) for one in used.vintages],
        }
    )


def _evidence(one: results.PointEvidence, zone: ZoneInfo) -> models.PointEvidence:
    told = msgspec.structs.asdict(one)
    commissioned_ms = told.pop("commissioned_ms")
    told["commissioned"] = None if commissioned_ms is None else time_text(commissioned_ms, zone)
    told["suspended"] = [
        models.Suspension(start=time_text(span.start_ms, zone), end=time_text(span.end_ms, zone), text=span.text)
        for span in one.suspended
    ]
    return models.PointEvidence(**told)


def _given(one: results.Given, zone: ZoneInfo) -> models.Given:
    told = msgspec.structs.asdict(one)
    imported_ms = told.pop("imported_ms")
    return models.Given(**told, imported=None if imported_ms is None else time_text(imported_ms, zone))


def _totals(of: results.PeriodResult | results.Vintage) -> models.Totals:
    return models.Totals(
        reference_tco2=of.reference_tco2,
        project_tco2=of.project_tco2,
        reductions_tco2=of.reductions_tco2,
        reductions_whole_tco2=of.reductions_whole_tco2,
    )


def _vintage(vintage: results.Vintage, zone: ZoneInfo) -> models.Vintage:
    return models.Vintage(
        **dict(_totals(vintage)),
        year=vintage.year,
        start=time_text(vintage.start_ms, zone),
        end=time_text(vintage.end_ms, zone),
        quantities=vintage.quantities,
    )


def _line(line: results.Line, zone: ZoneInfo) -> models.Line:
    fields = msgspec.structs.asdict(line)
    start, end = fields.pop("start_ms"), fields.pop("end_ms")
    return models.Line(**fields, start=time_text(start, zone), end=time_text(end, zone))


def _input(given: results.Input, zone: ZoneInfo) -> models.Input:
    fields = msgspec.structs.asdict(given)
    fields["start"] = _register(given.point, given.start, zone)
    fields["end"] = _register(given.point, given.end, zone)
    return models.Input(**fields)


def _register(point: str, register: results.Register | None, zone: ZoneInfo) -> models.BoundaryRegister | None:
    if register is None:
        return None
    leaf = leaf_link(point.split("/", 1)[0], register.epoch, register.leaf)
    return models.BoundaryRegister(
        time=time_text(register.t_ms, zone),
        raw_hex=register.words,
        type=register.type,
        exponent=register.exponent,
        value=register.value,
        unit=register.unit,
        epoch=register.epoch,
        leaf=register.leaf,
        links=models.RegisterLinks(reading=reading_link(point, register.t_ms), leaf=leaf, leaf_body=f"{leaf}/body"),
    )
