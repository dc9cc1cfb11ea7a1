"""A Grafana over its HTTP API, by grafana-client: what is there, writing it, and whose fault it is when it fails."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from grafana_client.api import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaException
from niquests.exceptions import RequestException

from grafana.panels import TAG, Json
from hakari.errors import BadConfiguration, NotReachable, Refused

TIMEOUT_S = 30.0
LEAST_MAJOR = 11
MAX_SAID_CHARS = 300
MAX_FOUND = 5000
NOT_FOUND = 404
NOBODY, FORBIDDEN = 401, 403

_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(/[^\s?#]*)?")
_MAJOR = re.compile(r"\d+")


class BadGrafanaUrl(BadConfiguration):
    """The address is not that of a Grafana."""


class GrafanaUnreachable(NotReachable):
    """Grafana does not answer, or answers with a fault of its own."""


class GrafanaRefused(Refused):
    """Grafana understood and refuses, or is none that we write to."""


def major(version: str) -> int:
    """The first digits of a version, whatever follows (`12.1.0-85533.patch3`, `11.2.0+security-01`, `v12`)."""
    found = _MAJOR.search(version)
    if found is None:
        raise GrafanaRefused(f"Grafana says its version is {version[:40]!r}, which holds no number; update it")
    return int(found[0])


class Grafana:
    """One Grafana; every method raises GrafanaUnreachable or GrafanaRefused with one sentence."""

    def __init__(self, url: str, token: str) -> None:
        if not _URL.fullmatch(url):
            raise BadGrafanaUrl(
                f"Grafana's address {url[:200]!r} must be http(s)://host[:port][/path], without a password"
            )
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise BadGrafanaUrl(f"Grafana's address {url[:200]!r} has no usable port ({error}); mend it") from error
        host = parts.hostname or ""
        path = parts.path.strip("/")
        self.url = url
        self._api: Any = GrafanaApi(
            token,
            protocol=parts.scheme,
            host=f"[{host}]" if ":" in host else host,
            port=port,
            url_path_prefix=f"{path}/" if path else "",
            timeout=TIMEOUT_S,
        )

    def version(self) -> str:
        """Grafana's version as it says it; GrafanaRefused below the oldest one that we write to."""
        settings = self._asked("its settings", lambda: self._api.client.GET("/frontend/settings"), first=True)
        info = settings.get("buildInfo") if isinstance(settings, dict) else None
        version = info.get("version") if isinstance(info, dict) else None
        if not isinstance(version, str):
            raise self._none_there("it does not say its version")
        if major(version) < LEAST_MAJOR:
            raise GrafanaRefused(f"Grafana is {version}, the oldest that we write to is {LEAST_MAJOR}.0; update it")
        return version

    def data_source(self, uid: str) -> Json | None:
        """The data source with a uid, None where there is none."""
        return self._found(f"data source {uid}", lambda: self._api.datasource.get_datasource_by_uid(uid))

    def put_data_source(self, uid: str, body: Json, *, new: bool) -> None:
        """Creates or updates a data source."""
        if new:
            self._asked(f"data source {uid}", lambda: self._api.datasource.create_datasource(body))
        else:
            self._asked(f"data source {uid}", lambda: self._api.datasource.update_datasource_by_uid(uid, body))

    def health(self, uid: str) -> None:
        """Asks a data source whether it works; GrafanaUnreachable with what it said otherwise."""
        what = f"the health of data source {uid}"
        try:
            said = self._asked(what, lambda: self._api.datasource.health(uid))
        except GrafanaRefused as error:
            raise GrafanaUnreachable(f"{error}; check InfluxDB's address and token as Grafana sees them") from error
        if not isinstance(said, dict) or said.get("status") != "OK":
            raise GrafanaUnreachable(f"data source {uid} does not work: {_short(said)}")

    def folder(self, uid: str) -> Json | None:
        """The folder with a uid."""
        return self._found(f"folder {uid}", lambda: self._api.folder.get_folder(uid))

    def create_folder(self, uid: str, title: str) -> None:
        """Creates a folder."""
        self._asked(f"folder {uid}", lambda: self._api.folder.create_folder(title, uid))

    def dashboard(self, uid: str) -> Json | None:
        """The dashboard with a uid, and under `meta` where it is."""
        return self._found(f"dashboard {uid}", lambda: self._api.dashboard.get_dashboard(uid))

    def put_dashboard(self, body: Json, folder_uid: str, message: str) -> None:
        """Writes a dashboard over whatever version is there: the files are the truth."""
        sent = {"dashboard": body, "folderUid": folder_uid, "overwrite": True, "message": message}
        self._asked(f"dashboard {body['uid']}", lambda: self._api.dashboard.update_dashboard(sent))

    def delete_dashboard(self, uid: str) -> None:
        """Deletes a dashboard."""
        self._asked(f"dashboard {uid}", lambda: self._api.dashboard.delete_dashboard(uid))

    def dashboards(self, *, tag: str = "", folder_uid: str = "") -> list[Json]:
        """What is found of dashboards with a tag or in a folder: uid, title, tags."""
        where: Json = {"tag": tag} if tag else {"folder_uids": folder_uid}
        answer = self._asked(
            "the dashboards that are there",
            lambda: self._api.search.search_dashboards(type_="dash-db", limit=MAX_FOUND, **where),
        )
        return _listed(answer, "the dashboards that are there")

    def rule(self, uid: str) -> Json | None:
        """The alert rule with a uid."""
        return self._found(f"alert rule {uid}", lambda: self._api.alertingprovisioning.get_alertrule(uid))

    def put_rule(self, body: Json, *, new: bool, editable: bool) -> None:
        """Creates or updates an alert rule; one that is not `editable` can be changed by this API alone."""
        alerting, uid = self._api.alertingprovisioning, body["uid"]
        if new:
            self._asked(f"alert rule {uid}", lambda: alerting.create_alertrule(body, disable_provenance=editable))
        else:
            self._asked(f"alert rule {uid}", lambda: alerting.update_alertrule(uid, body, disable_provenance=editable))

    def delete_rule(self, uid: str) -> None:
        """Deletes an alert rule."""
        self._asked(f"alert rule {uid}", lambda: self._api.alertingprovisioning.delete_alertrule(uid))

    def rules(self) -> list[Json]:
        """Every alert rule of the organisation."""
        answer = self._asked("the alert rules", self._api.alertingprovisioning.get_alertrules_all)
        return _listed(answer, "the alert rules")

    def _found(self, what: str, ask: Callable[[], Any]) -> Json | None:
        answer = self._asked(what, ask, missing=True)
        if answer is None or isinstance(answer, dict):
            return answer
        raise GrafanaUnreachable(f"{what}: {self.url} answers, but not as Grafana does; check the address and its path")

    def _asked(self, what: str, ask: Callable[[], Any], *, missing: bool = False, first: bool = False) -> Any:  # noqa: ANN401 - JSON
        """What Grafana answers; with `missing`, None where it says 404.

        At `first` nobody knows yet that it is one: only its own 401 and 403 are refusals then.
        """
        try:
            return ask()
        except GrafanaClientError as error:
            if missing and error.status_code == NOT_FOUND:
                return None
            if first and not _refuses_as_grafana(error):
                raise self._none_there(f"it answers {error.status_code}") from error
            raise self._refused(what, error) from error
        except GrafanaException as error:
            code = f"answered {error.status_code}" if error.status_code else "did not answer in time"
            raise GrafanaUnreachable(f"{what}: Grafana at {self.url} {code} ({_short(error.message)})") from error
        except (RequestException, ValueError) as error:
            raise GrafanaUnreachable(f"{what}: Grafana at {self.url} cannot be asked ({_short(error)})") from error

    def _none_there(self, why: str) -> GrafanaUnreachable:
        return GrafanaUnreachable(f"{self.url} is not a Grafana ({why}): check address and path")

    def _refused(self, what: str, error: GrafanaClientError) -> GrafanaRefused:
        said = _short(error.response.get("message") if isinstance(error.response, dict) else error.message)
        advice = {
            NOBODY: "; the token is not known there, make one for a service account",
            FORBIDDEN: "; give the service account the role Admin, or rights to all of these",
        }.get(error.status_code, "")
        return GrafanaRefused(f"{what}: Grafana refuses with {error.status_code} ({said}){advice}")


def _refuses_as_grafana(error: GrafanaClientError) -> bool:
    """Whether a refusal of the first question can be Grafana's own: InfluxDB's has a word for its code."""
    said = error.response
    return (
        error.status_code in (NOBODY, FORBIDDEN)
        and isinstance(said, dict)
        and "message" in said
        and not isinstance(said.get("code"), str)
    )


def _listed(answer: object, what: str) -> list[Json]:
    if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
        raise GrafanaUnreachable(f"{what}: not answered as Grafana does; check the address and its path")
    return answer


def _short(said: object) -> str:
    text = " ".join(str(said).split())
    return text if len(text) <= MAX_SAID_CHARS else text[:MAX_SAID_CHARS] + "…"


def tagged(dashboard: Json) -> bool:
    """Whether a dashboard is one of ours."""
    return TAG in (dashboard.get("tags") or [])
