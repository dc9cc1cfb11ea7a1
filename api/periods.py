"""Periods: totals with the standing of what computed them, every input's origin, the evidence pack."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse

from api import documented, results
from api.auth import FromCaller, caller_of, visible_project
from api.models import PeriodDetail, PeriodList
from api.problems import ApiProblem, invalid, not_found
from api.queries import JSON, FromPage, Page, accepts, only_known
from api.sources import FromSources, Sources
from hakari.ledger.port import PeriodKey
from hakari.ledger.types import PeriodRecord

PACK_TYPE = "application/octet-stream"

router = APIRouter(prefix="/v1", tags=["periods"], dependencies=[Depends(caller_of), Depends(only_known)])


@router.get(
    "/projects/{project_id}/periods",
    operation_id="period_list",
    summary="Periods of a project, in every version",
    responses=documented.problems(*documented.LISTED, "evidence-mismatch"),
    dependencies=[accepts(JSON)],
    openapi_extra={"x-summary-ja": "プロジェクトのモニタリング期間"},
)
async def period_list(sources: FromSources, caller: FromCaller, project_id: str, page: FromPage) -> PeriodList:
    """Periods ordered by start and id, each with its totals, its standing and its notice."""
    project = visible_project(sources, caller, project_id)
    found = sources.ledger.periods(project.project_id, _after(page), page.limit + 1)
    shown = found[: page.limit]
    next_ = page.next_of([shown[-1].start_ms, shown[-1].period_id]) if len(found) > page.limit else None
    return PeriodList(
        items=[
            results.summary(period, sources.statement_keys, has_pack=_has_pack(sources, period)) for period in shown
        ],
        next=next_,
        next_url=None if next_ is None else page.url_of(next_),
    )


@router.get(
    "/periods/{period_id}",
    operation_id="period_get",
    summary="One period: totals and where every input comes from",
    responses=documented.problems(*documented.READ, "invalid-value", "evidence-mismatch"),
    dependencies=[accepts(JSON)],
    openapi_extra={"x-summary-ja": "一期間の合計と、すべての入力の出所"},
)
async def period_get(sources: FromSources, caller: FromCaller, period_id: str) -> PeriodDetail:
    """The result with its formula, parameters, and for each metering point the two boundary registers.

    Each register links to the reading and to the signed leaf that holds it. A locked period is shown only with
    the signed statement that names this result.
    """
    period = _visible(sources, caller, period_id)
    return results.detail(period, sources.statement_keys, has_pack=_has_pack(sources, period))


@router.get(
    "/periods/{period_id}/pack",
    operation_id="period_pack",
    summary="The evidence pack of a period",
    response_class=FileResponse,
    responses={
        200: {"description": "The pack; check it with `hakari verify`.", "content": {PACK_TYPE: {}}},
        **documented.problems(*documented.READ, "invalid-value"),
    },
    dependencies=[accepts(PACK_TYPE)],
    openapi_extra={"x-summary-ja": "期間の証拠パック"},
)
async def period_pack(sources: FromSources, caller: FromCaller, period_id: str) -> FileResponse:
    """The pack as a file, where it states the result that the period has now. Its ETag is the SHA-256 of its bytes."""
    period = _visible(sources, caller, period_id)
    path = sources.packs.path_of(period)
    if path is None and sources.packs.is_outdated(period):
        sentence = f"the pack there is of an older result; write it again: hakari pack write --period {period_id}"
        raise ApiProblem("not-found", sentence)
    if path is None:
        raise not_found(f"an evidence pack of period {period_id}")
    digest = await sources.packs.sha256_of(path)
    return FileResponse(path, media_type=PACK_TYPE, filename=path.name, headers={"etag": f'"{digest}"'})


def _visible(sources: Sources, caller: FromCaller, period_id: str) -> PeriodRecord:
    period = sources.ledger.period(period_id)
    if period is None or not caller.may_read(period.project_id):
        raise not_found(f"period {period_id}")
    return period


def _has_pack(sources: Sources, period: PeriodRecord) -> bool:
    return sources.packs.path_of(period) is not None


def _after(page: Page) -> PeriodKey | None:
    match page.after:
        case None:
            return None
        case [int(start_ms), str(period_id)]:
            return PeriodKey(start_ms, period_id)
        case _:
            raise invalid("next", page.after, "is not one that this list gave; start again without it")
