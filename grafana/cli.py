"""Commands of the room grafana: `hakari grafana check` and `hakari grafana sync`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from grafana.alerts import DOCS_URL
from hakari.cli.output import show, table
from hakari.errors import DATA_PROBLEM, BadConfiguration

if TYPE_CHECKING:
    from grafana.remote import Grafana
    from grafana.sync import Report, Wish

MAX_TOKEN_CHARS = 4096


class GrafanaOptionMissing(BadConfiguration):
    """An option that the command cannot do without is not given."""


class TokenUnusable(BadConfiguration):
    """A token's file cannot be read, or does not hold one token."""


class Given(NamedTuple):
    """The options of both commands."""

    url: str | None
    token_file: Path | None
    influx_url: str | None
    influx_token_file: Path | None
    influx_org: str
    influx_bucket: str
    docs_url: str


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    file = click.Path(path_type=Path)

    options = (
        click.option("--url", envvar="HAKARI_GRAFANA_URL", help="Grafana's address [HAKARI_GRAFANA_URL]."),
        click.option(
            "--token-file",
            type=file,
            envvar="HAKARI_GRAFANA_TOKEN_FILE",
            help="File with a service account's token [HAKARI_GRAFANA_TOKEN_FILE].",
        ),
        click.option(
            "--influx-url",
            envvar="HAKARI_INFLUX_URL",
            help="InfluxDB as Grafana sees it; without it the data sources must be there [HAKARI_INFLUX_URL].",
        ),
        click.option(
            "--influx-token-file",
            type=file,
            envvar="HAKARI_GRAFANA_READ_TOKEN_FILE",
            help="File with a token that reads the bucket, nothing else [HAKARI_GRAFANA_READ_TOKEN_FILE].",
        ),
        click.option(
            "--influx-org", envvar="HAKARI_INFLUX_ORG", default="hakari", show_default=True, help="Organisation."
        ),
        click.option(
            "--influx-bucket", envvar="HAKARI_INFLUX_BUCKET", default="hakari", show_default=True, help="Bucket."
        ),
        click.option(
            "--docs-url", envvar="HAKARI_DOCS_URL", default=DOCS_URL, show_default=True, help="Where docs/ can be read."
        ),
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def grafana() -> None:
    """Check and sync the dashboards of a Grafana that we do not own."""


@grafana.command("check")
@_options
def check(as_json: bool, **given: Any) -> int:  # noqa: ANN401 - options by name
    """Say what sync would change; changes nothing and ends with 5 when something differs."""
    from grafana import sync as syncing  # noqa: PLC0415 - it needs grafana-client

    remote, wish = _places(Given(**given), editable=False, prune=False)
    report = syncing.check(remote, wish)
    _print(report, as_json)
    return DATA_PROBLEM if report.differing() else 0


@grafana.command("sync")
@_options
@click.option("--editable", is_flag=True, help="Let people change the alert rules in Grafana.")
@click.option("--prune", is_flag=True, help="Delete what is tagged hakari and no longer made.")
def sync(as_json: bool, editable: bool, prune: bool, **given: Any) -> None:  # noqa: ANN401 - options by name
    """Write data sources, folder, dashboards and alert rules where they differ; never deletes unless told to."""
    from grafana import sync as syncing  # noqa: PLC0415 - it needs grafana-client

    remote, wish = _places(Given(**given), editable=editable, prune=prune)
    _print(syncing.sync(remote, wish), as_json)


def _places(given: Given, *, editable: bool, prune: bool) -> tuple[Grafana, Wish]:
    from grafana.remote import Grafana  # noqa: PLC0415 - it needs grafana-client
    from grafana.sync import InfluxPlace, Wish  # noqa: PLC0415

    if not given.url:
        raise GrafanaOptionMissing("Grafana's address is missing; say --url or set HAKARI_GRAFANA_URL")
    if given.token_file is None:
        raise GrafanaOptionMissing("Grafana's token is missing; say --token-file or set HAKARI_GRAFANA_TOKEN_FILE")
    if bool(given.influx_url) != bool(given.influx_token_file):
        raise GrafanaOptionMissing("--influx-url and --influx-token-file go together; say both, or neither")
    influx = None
    if given.influx_url and given.influx_token_file:
        token = _token(given.influx_token_file, "--influx-token-file")
        influx = InfluxPlace(given.influx_url, given.influx_org, given.influx_bucket, token)
    wish = Wish(influx, given.docs_url.rstrip("/"), editable=editable, prune=prune)
    return Grafana(given.url, _token(given.token_file, "--token-file")), wish


def _token(file: Path, option: str) -> str:
    try:
        token = file.expanduser().read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenUnusable(f"{option} {file} cannot be read ({error}); write the token into it") from error
    if not token or len(token) > MAX_TOKEN_CHARS or any(char.isspace() for char in token):
        raise TokenUnusable(f"{option} {file} must hold one token and nothing else")
    return token


def _print(report: Report, as_json: bool) -> None:
    items = [{"kind": item.kind, "uid": item.uid, "state": item.state} for item in report.items]
    value = {"grafana": report.version, "items": items, "differing": len(report.differing())}
    rows = [(item.kind, item.uid, item.state) for item in report.items]
    show(value, f"Grafana {report.version}\n{table(('kind', 'uid', 'state'), rows)}", as_json)
