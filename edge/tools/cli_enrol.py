"""`hakari edge enrol`: asks to be let in with a one-time code, and takes the reply."""

from __future__ import annotations

from pathlib import Path

import click

from hakari.cli.output import show


@click.command()
@click.option("--edge", "edge_id", metavar="EDGE", help="This edge's id, such as sola-e1; to make a request.")
@click.option("--code", metavar="CODE", help="The one-time code; asked for without it, which keeps it out of `ps`.")
@click.option("--request", metavar="FILE", type=click.Path(path_type=Path), help="New file. [default: EDGE.request]")
@click.option("--reply", metavar="FILE", type=click.Path(path_type=Path), help="Take this reply.")
@click.option(
    "--folder", default=".", show_default=True, type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where the edge's files are.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def enrol(
    *, edge_id: str | None, code: str | None, request: Path | None, reply: Path | None, folder: Path, as_json: bool
) -> None:
    """Let this device become an edge, by a one-time code from `hakari keys invite`.

    First with --edge: makes the key of the log and the key for TLS, which never leave this device, and a request.
    Carry the request to the owner, who answers with `hakari keys admit`. Then with --reply: checks the answer and
    writes certificate, authority, roster and the owner's public key, and edge.toml where there is none.
    """
    if (edge_id is None) == (reply is None):
        raise click.UsageError("give --edge (to make a request) or --reply (to take the answer), one of them")
    from edge.tools.enrolling import install, make_request  # noqa: PLC0415 - loaded with its command

    if reply is not None:
        done = install(folder, reply)
        show(done._asdict(), _next(done.settings, folder, written=done.written, until=done.until), as_json)
    elif edge_id is not None:
        out = request or folder / f"{edge_id}.request"
        typed = code if code is not None else str(click.prompt("One-time code", hide_input=True, err=True))
        public = make_request(folder, edge_id, typed, out)
        told = f"{out}: carry it to the owner; what comes back: hakari edge enrol --reply FILE\npublic key {public}"
        show({"edge": edge_id, "request": str(out), "log_key": public}, told, as_json)


def _next(settings: str, folder: Path, *, written: bool, until: str) -> str:
    path = folder / "edge.toml"
    first = f"{path} was written; add buses and meters to it" if written else f"put this into {path}:\n\n{settings}"
    return (
        f"let in; the certificate holds until {until}. {first}\nthen: hakari edge doctor {path}, hakari edge run {path}"
    )
