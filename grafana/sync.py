"""Brings a Grafana that is not ours to what the files say, or says what differs. Idempotent; deletes nothing unasked.

What is there counts as ours as it should be when everything that we would send stands in it: fields that Grafana
adds are its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import hakari
from grafana.alerts import ALERTS, FOLDER, api_rule
from grafana.build import dashboards
from grafana.panels import TAG, Json
from grafana.provisioning import flux_source, influxql_source
from grafana.queries import FLUX, INFLUXQL
from grafana.remote import Grafana, GrafanaRefused, GrafanaUnreachable, tagged
from hakari.errors import BadConfiguration, NotReachable

# What Grafana counts or raises by itself on a dashboard.
OF_GRAFANA = ("id", "version", "iteration", "schemaVersion")
UNCHANGED, MISSING, DIFFERS, FOREIGN, LEFT = "unchanged", "missing", "differs", "foreign", "left over"
CREATED, UPDATED, DELETED = "created", "updated", "deleted"
DONE = {MISSING: CREATED, DIFFERS: UPDATED, LEFT: DELETED}


class SourceMissing(BadConfiguration):
    """A data source is not there and nobody said where InfluxDB is."""


class SyncStopped(NotReachable):
    """Grafana failed in the middle; what was written stays, and running again completes it."""


class InfluxPlace(NamedTuple):
    """Where InfluxDB is as Grafana sees it, and the token that may read one bucket."""

    url: str
    org: str
    bucket: str
    token: str


class Wish(NamedTuple):
    """How to sync: `influx` None leaves data sources as they are; `editable` lets people change rules by hand."""

    influx: InfluxPlace | None
    docs_url: str
    editable: bool = False
    prune: bool = False


class Item(NamedTuple):
    """One thing in Grafana, how it is, and what brings it to what it should be (None: nothing does)."""

    kind: str
    uid: str
    state: str
    mend: Callable[[], None] | None = None


class Report(NamedTuple):
    """Grafana's version and every item as it was found or is now."""

    version: str
    items: list[Item]

    def differing(self) -> list[Item]:
        """Items that are not as the files say; what is foreign is nobody's business."""
        return [item for item in self.items if item.state in DONE]


def holds(remote: object, ours: object) -> bool:
    """Whether everything in `ours` stands in `remote`.

    Lists are as long; a dictionary may hold more, and may lack what is empty, false or zero with us: newer versions
    of Grafana add defaults and drop them.
    """
    if isinstance(ours, dict):
        return isinstance(remote, dict) and all(
            holds(remote[key], value) if key in remote else not value for key, value in ours.items()
        )
    if isinstance(ours, list):
        return isinstance(remote, list) and len(remote) == len(ours) and all(map(holds, remote, ours))
    return remote == ours and isinstance(remote, bool) == isinstance(ours, bool)


def check(grafana: Grafana, wish: Wish) -> Report:
    """How everything is; nothing is written. NotReachable also where a data source does not work."""
    version = grafana.version()
    items = list(_items(grafana, wish))
    for item in items:
        if item.kind == "data source" and item.state == UNCHANGED:
            grafana.health(item.uid)
    return Report(version, items)


def sync(grafana: Grafana, wish: Wish) -> Report:
    """Mends what differs, in an order in which each finds what it needs; the report says what was done."""
    version = grafana.version()
    found = list(_items(grafana, wish))
    done: list[Item] = []
    for item in found:
        try:
            done.append(_mended(grafana, item, wish))
        except (GrafanaUnreachable, GrafanaRefused) as error:
            changed = sum(one.state in DONE.values() for one in done)
            raise _stopped(error, f"{changed} of {len(found)} were written before and stay; run it again") from error
    return Report(version, done)


def _stopped(error: GrafanaUnreachable | GrafanaRefused, so_far: str) -> Exception:
    sentence = f"{error}; {so_far}"
    return GrafanaRefused(sentence) if isinstance(error, GrafanaRefused) else SyncStopped(sentence)


def _mended(grafana: Grafana, item: Item, wish: Wish) -> Item:
    state = item.state
    if item.mend is not None and (state != LEFT or wish.prune):
        item.mend()
        state = DONE[state]
    if item.kind == "data source":
        grafana.health(item.uid)
    return Item(item.kind, item.uid, state)


def _items(grafana: Grafana, wish: Wish) -> Iterator[Item]:
    yield from _sources(grafana, wish.influx)
    folder = grafana.folder(FOLDER)
    made = (lambda: grafana.create_folder(FOLDER, FOLDER)) if folder is None else None
    yield Item("folder", FOLDER, MISSING if folder is None else UNCHANGED, made)
    yield from _dashboards(grafana)
    yield from _rules(grafana, wish)
    yield from _others(grafana, is_there=folder is not None)


def _sources(grafana: Grafana, place: InfluxPlace | None) -> Iterator[Item]:
    for uid, body in source_bodies(place):
        remote = grafana.data_source(uid)
        if body is None:
            if remote is None:
                raise SourceMissing(
                    f"data source {uid} is not there; say --influx-url and --influx-token-file to make it"
                )
            yield Item("data source", uid, UNCHANGED)
            continue
        secrets = body["secureJsonData"]
        shown = {key: value for key, value in body.items() if key != "secureJsonData"}
        same = (
            remote is not None
            and holds(remote, shown)
            and holds(remote.get("secureJsonFields"), dict.fromkeys(secrets, True))
        )
        yield _item("data source", uid, remote, same, _put_source(grafana, uid, body, new=remote is None))


def source_bodies(place: InfluxPlace | None) -> list[tuple[str, Json | None]]:
    """Both data sources as they are sent; a token's hash stands in them, so that another token is a difference."""
    if place is None:
        return [(FLUX, None), (INFLUXQL, None)]
    both = [flux_source(*place), influxql_source(place.url, place.bucket, place.token)]
    mark = {"hakariToken": "sha256:" + hashlib.sha256(place.token.encode()).hexdigest()[:16]}
    return [(body["uid"], {**body, "jsonData": body["jsonData"] | mark}) for body in both]


def _put_source(grafana: Grafana, uid: str, body: Json, *, new: bool) -> Callable[[], None]:
    return lambda: grafana.put_data_source(uid, body, new=new)


def _dashboards(grafana: Grafana) -> Iterator[Item]:
    for uid, board in dashboards().items():
        remote = grafana.dashboard(uid)
        body = None if remote is None else remote.get("dashboard")
        if isinstance(body, dict) and not tagged(body):
            raise GrafanaRefused(f"dashboard {uid} is there and not tagged {TAG}: somebody else's; delete or rename it")
        same = holds(body, {key: value for key, value in board.items() if key not in OF_GRAFANA}) and _in_folder(remote)
        yield _item("dashboard", uid, remote, same, _put_dashboard(grafana, board))


def _in_folder(remote: Json | None) -> bool:
    meta = {} if remote is None else remote.get("meta") or {}
    return bool(meta.get("folderUid", FOLDER) == FOLDER)


def _put_dashboard(grafana: Grafana, board: Json) -> Callable[[], None]:
    digest = hashlib.sha256(repr(board).encode()).hexdigest()[:16]
    message = f"hakari {hakari.__version__} sha256:{digest}"
    return lambda: grafana.put_dashboard(board, FOLDER, message)


def _rules(grafana: Grafana, wish: Wish) -> Iterator[Item]:
    for alert in ALERTS:
        body = api_rule(alert, wish.docs_url)
        remote = grafana.rule(alert.uid)
        if remote is not None and not _our_rule(remote):
            raise GrafanaRefused(
                f"alert rule {alert.uid} is there and has no label source={TAG}: somebody else's; delete it"
            )
        put = _put_rule(grafana, body, new=remote is None, editable=wish.editable)
        # A rule that was written without --editable keeps its provenance, which is what forbids editing.
        held = holds(remote, body) and not (wish.editable and remote is not None and remote.get("provenance"))
        yield _item("alert rule", alert.uid, remote, held, put)


def _our_rule(remote: Json) -> bool:
    return (remote.get("labels") or {}).get("source") == TAG


def _put_rule(grafana: Grafana, body: Json, *, new: bool, editable: bool) -> Callable[[], None]:
    return lambda: grafana.put_rule(body, new=new, editable=editable)


def _item(kind: str, uid: str, remote: object, same: bool, put: Callable[[], None]) -> Item:
    if remote is None:
        return Item(kind, uid, MISSING, put)
    return Item(kind, uid, UNCHANGED) if same else Item(kind, uid, DIFFERS, put)


def _others(grafana: Grafana, *, is_there: bool) -> Iterator[Item]:
    """What is tagged as ours and no longer made, and what else is in our folder."""
    ours = set(dashboards())
    inside = grafana.dashboards(folder_uid=FOLDER) if is_there else []
    for one in {one["uid"]: one for one in [*grafana.dashboards(tag=TAG), *inside]}.values():
        if one["uid"] not in ours:
            yield _other("dashboard", one["uid"], tagged(one), grafana.delete_dashboard)
    made = {alert.uid for alert in ALERTS}
    for rule in grafana.rules():
        if rule.get("uid") not in made and (_our_rule(rule) or rule.get("folderUID") == FOLDER):
            yield _other("alert rule", str(rule.get("uid")), _our_rule(rule), grafana.delete_rule)


def _other(kind: str, uid: str, ours: bool, delete: Callable[[str], None]) -> Item:
    return Item(kind, uid, LEFT, lambda: delete(uid)) if ours else Item(kind, uid, FOREIGN)
