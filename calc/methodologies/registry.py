"""Which methodologies are installed: ours and those of the entry-point group `hakari.methodologies`."""

from __future__ import annotations

import difflib
from functools import lru_cache
from importlib.metadata import entry_points

from calc.methodologies import boiler, chiller, pv, transformer
from calc.methodologies.base import Methodology
from calc.methodologies.declared import MethodologyInvalid
from hakari.errors import BadConfiguration

OURS = (pv.METHODOLOGY, boiler.METHODOLOGY, chiller.METHODOLOGY, transformer.METHODOLOGY)
GROUP = "hakari.methodologies"
MAX_METHODOLOGIES = 1000


class MethodologyUnknown(BadConfiguration):
    """No installed methodology has this code and version."""


@lru_cache(maxsize=1)
def installed() -> tuple[Methodology, ...]:
    """Every installed methodology ordered by code and version; MethodologyInvalid when two claim the same."""
    found = {(one.data.code, one.data.version): one for one in OURS}
    for entry in list(entry_points(group=GROUP))[:MAX_METHODOLOGIES]:
        one = entry.load()
        if not isinstance(one, Methodology):
            raise MethodologyInvalid(f"entry point {entry.name} = {entry.value} is not a Methodology; mend the package")
        known = found.setdefault((one.data.code, one.data.version), one)
        if known.sha256 != one.sha256:
            raise MethodologyInvalid(
                f"two installed methodologies are {one.data.code} {one.data.version}; a change needs a new version"
            )
    return tuple(found[key] for key in sorted(found))


def find(code: str, version: str) -> Methodology:
    """The methodology of that code and version; MethodologyUnknown names the nearest."""
    for one in installed():
        if (one.data.code, one.data.version) == (code, version):
            return one
    known = [f"{one.data.code} {one.data.version}" for one in installed()]
    near = difflib.get_close_matches(f"{code} {version}", known, n=1, cutoff=0.3)
    advice = f"did you mean {near[0]}?" if near else f"installed are {', '.join(known)}"
    raise MethodologyUnknown(f"methodology {code[:60]!r} version {version[:60]!r} is not installed; {advice}")


def by_sha256(sha256: str) -> Methodology | None:
    """The installed methodology of that content hash."""
    return next((one for one in installed() if one.sha256 == sha256), None)
