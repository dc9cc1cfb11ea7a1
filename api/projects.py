"""Projects, as registered."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api import documented
from api.auth import FromCaller, caller_of, visible_project
from api.links import project_link
from api.models import MethodologyNamed, ProjectDetail, ProjectLinks, ProjectList, ProjectSummary
from api.problems import invalid
from api.queries import JSON, FromPage, accepts, only_known
from api.sources import FromSources
from hakari.ledger.types import ProjectRecord
from hakari.period import time_text, zone_of

router = APIRouter(
    prefix="/v1/projects", tags=["projects"], dependencies=[Depends(caller_of), Depends(only_known), accepts(JSON)]
)


@router.get(
    "",
    operation_id="project_list",
    summary="Projects that the token may read",
    responses=documented.problems(*documented.LISTED),
    openapi_extra={"x-summary-ja": "このトークンで見られるプロジェクト"},
)
async def project_list(sources: FromSources, caller: FromCaller, page: FromPage) -> ProjectList:
    """Projects ordered by id, in their newest revision."""
    after = ""
    if page.after is not None:
        if len(page.after) != 1 or not isinstance(page.after[0], str):
            raise invalid("next", page.after, "is not one that this list gave; start again without it")
        after = page.after[0]
    found = sources.ledger.projects(caller.projects, after, page.limit + 1)
    shown = found[: page.limit]
    next_ = page.next_of([shown[-1].project_id]) if len(found) > page.limit else None
    return ProjectList(
        items=[_summary(project) for project in shown],
        next=next_,
        next_url=None if next_ is None else page.url_of(next_),
    )


@router.get(
    "/{project_id}",
    operation_id="project_get",
    summary="One project and the file it was registered with",
    responses=documented.problems(*documented.READ, "invalid-value"),
    openapi_extra={"x-summary-ja": "プロジェクトと登録された文書"},
)
async def project_get(sources: FromSources, caller: FromCaller, project_id: str) -> ProjectDetail:
    """The newest revision of a project."""
    project = visible_project(sources, caller, project_id)
    summary = _summary(project)
    return ProjectDetail(**dict(summary), namespace=project.namespace, document=project.document)


def _summary(project: ProjectRecord) -> ProjectSummary:
    here = project_link(project.project_id)
    return ProjectSummary(
        project_id=project.project_id,
        name=project.name,
        country=project.country,
        zone=project.zone,
        methodology=MethodologyNamed(
            code=project.methodology_code, version=project.methodology_version, sha256=project.methodology_sha256
        ),
        document_sha256=project.document_sha256,
        registered_at=time_text(project.registered_ms, zone_of(project.zone)),
        links=ProjectLinks(self=here, periods=f"{here}/periods"),
    )
