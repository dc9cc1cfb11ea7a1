"""Writes docs/methodologies.md from the installed methodologies and the rule table: `make docs`. A test holds it."""

from __future__ import annotations

from collections.abc import Iterator

from calc.methodologies import boiler, pv
from calc.methodologies.base import Methodology
from calc.rules import RULES, RULES_VERSION

HEAD = """# Methodologies and rules

Written from the code by `make docs`; do not edit. `hakari methodology list` shows what is installed beside these.

The **standing** says how far a methodology was checked: *published* (the approved text is part of it, by its hash, and
an approver is named), *second-hand*, or *recalled*. Only a published and approved one can be locked; any other computes
provisionally, carries its notice wherever its result is shown, and credits nothing.

A methodology of your own is a Python package with a pure function `evaluate`, a data file of the same name and a
`Methodology` on the entry point `hakari.methodologies`. Its content hash covers code and data, and with the data the
hash of its document; results, packs and statements name it.
"""
RULE_HEAD = f"""## Rules for registers, gaps and rounding, version {RULES_VERSION}

A *credited* quantity raises the reductions, so that every doubt makes it smaller; a *debited* one lowers them, so that
no doubt may make it smaller. `both` is treated as credited.

| rule | credited | debited | what happens |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    ours = (pv.METHODOLOGY, boiler.METHODOLOGY)
    lines = [HEAD, *(line for one in ours for line in section(one))]
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
    yield from (f"| `{q.name}` | {q.unit} | monitored, {q.role} | {q.text} |" for q in data.quantity)
    yield ""


def rules() -> Iterator[str]:
    """A line for each rule."""
    return (f"| {one.title} | {one.credited} | {one.debited} | {one.text} |\n" for one in RULES)


if __name__ == "__main__":
    print(page(), end="")
