"""Writes dashboards and provisioning beside this module: `python -m grafana.build`. A test holds the files to it.

With `--out` they go elsewhere, and with `--docs-url` the alerts' runbook links lead to your own copy of docs/.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from grafana import provisioning
from grafana.alerts import BUILDERS, DOCS_URL
from grafana.fleet import NAME as FLEET
from grafana.panels import Json, Place
from grafana.plant import NAME as PLANT
from grafana.quality import NAME as QUALITY
from grafana.texts import LANGUAGES, speaker

ROOM = Path(__file__).parent
FOLDERS = ("dashboards", "provisioning")
# Name → default start, refresh and time zone. Fleets are shown in UTC, plants where their reader is.
RHYTHM = {
    FLEET: ("now-24h", "1m", "utc"),
    PLANT: ("now/d", "1m", "browser"),
    QUALITY: ("now-7d", "5m", "browser"),
}


def dashboards() -> dict[str, Json]:
    """Every dashboard by its uid, in every language."""
    made = {}
    for name, build in BUILDERS.items():
        for language in LANGUAGES:
            place = Place(name, language, speaker(language), *RHYTHM[name])
            made[place.uid] = build(place)
    return made


def files(docs_url: str = DOCS_URL) -> dict[str, str]:
    """Every generated file: path below this room → text."""
    boards = {
        f"dashboards/{uid}.json": json.dumps(board, indent=2, ensure_ascii=False) + "\n"
        for uid, board in dashboards().items()
    }
    return boards | {f"provisioning/{path}": text for path, text in provisioning.files(docs_url).items()}


def write(room: Path, docs_url: str = DOCS_URL) -> None:
    """Writes the files below `room`, and removes what an earlier run wrote there and this one does not."""
    made = files(docs_url)
    for path in [one for folder in FOLDERS for one in (room / folder).rglob("*") if one.suffix in (".json", ".yaml")]:
        if path.relative_to(room).as_posix() not in made:
            path.unlink()
    for name, text in made.items():
        path = room / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m grafana.build", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOM, help="the folder to write into (default: this room)")
    parser.add_argument("--docs-url", default=DOCS_URL, help="where docs/ can be read, without a slash at the end")
    given = parser.parse_args()
    write(given.out, given.docs_url)


if __name__ == "__main__":
    main()
