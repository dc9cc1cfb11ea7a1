"""Writes docs/methodologies.md from the installed methodologies and the rule table: `make docs`. A test holds it."""

from __future__ import annotations

from collections.abc import Iterator

from calc.methodologies.base import Methodology
from calc.methodologies.declared import Data
from calc.methodologies.registry import OURS
from calc.rules import RULES, RULES_VERSION
from calc.texts import quantity_kind

HEAD = """# Methodologies and rules

Written from the code by `make docs`; do not edit. `hakari methodology list` shows what is installed beside these.

The **standing** says how far a methodology was checked: *published* (the approved text is part of it, by its hash, and
an approver is named), *second-hand*, or *recalled*. Only a published and approved one can be locked; any other computes
provisionally, carries its notice wherever its result is shown, and credits nothing.

A methodology of your own is a Python package with a pure function `evaluate`, a data file of the same name and a
`Methodology` on the entry point `hakari.methodologies`. Its content hash covers code and data, and with the data the
hash of its document; results, packs and statements name it. With `[[equipment_parameter]]` in its data the function is
called once for each equipment of the project and its emissions are added up; its parameters are then the project's, the
`[[constant]]`s, the equipment's own, those of its `[[class]]` and `units`.
"""
RULE_HEAD = f"""## Rules for registers, gaps and rounding, version {RULES_VERSION}

A *credited* quantity raises the reductions, so that every doubt makes it smaller; a *debited* one lowers them, so that
no doubt may make it smaller. `both` is treated as credited.

| rule | credited | debited | what happens |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    lines = [HEAD, *(line for one in OURS for line in section(one))]
    return "\n".join(lines) + "\n" + RULE_HEAD + "".join(rules())


def section(one: Methodology) -> Iterator[str]:
    """One methodology: standing, formula, parameters and quantities."""
    data = one.data
    notice = f" ({one.notice} / {one.notice_ja})" if one.notice else f", approved by {data.approver}"
    yield f"## {data.code} {data.version}: {data.title}"
    yield ""
    yield f"{data.title_ja}. Standing: **{data.standing}**{notice}."
    yield ""
    yield f"    {data.formula}"
    yield ""
    yield data.source
    yield ""
    yield "| name | unit | kind | meaning |"
    yield "|---|---|---|---|"
    yield from (f"| `{p.name}` | {p.unit} | ex ante, {p.minimum} to {p.maximum} | {p.text} |" for p in data.parameter)
    yield from (
        f"| `{p.name}` | {p.unit} | ex ante of each equipment, {p.minimum} to {p.maximum} | {p.text} |"
        for p in data.equipment_parameter
    )
    yield from (f"| `{p.name}` | {p.unit} | by class, below | {p.text} |" for p in data.class_parameter)
    yield from (
        f"| `{c.name}` | {c.unit} | constant {c.value}, {c.standing} | {c.text} ({c.source}) |" for c in data.constant
    )
    yield from (f"| `{q.name}` | {q.unit} | {quantity_kind(q)} | {q.text} |" for q in data.quantity)
    yield ""
    yield from classes(data)


def classes(data: Data) -> Iterator[str]:
    """The table of a methodology's classes; nothing where it has none."""
    if not data.class_:
        return
    names = [one.name for one in data.class_parameter]
    yield f"| class | limits | {' | '.join(f'`{name}`' for name in names)} | standing | source |"
    yield f"|---|---|{'---|' * len(names)}---|---|"
    for one in data.class_:
        values = " | ".join(one.values[name] for name in names)
        yield f"| `{one.key}` | {one.limits} | {values} | {one.standing} | {one.source} |"
    yield ""


def rules() -> Iterator[str]:
    """A line for each rule."""
    return (f"| {one.title} | {one.credited} | {one.debited} | {one.text} |\n" for one in RULES)


if __name__ == "__main__":
    print(page(), end="")
