"""What a configurer may change from afar, and what only whoever stands before the device may. Pure.

Guaranteed of what is let through: each meter that was there stays, read at the same place by the same profile, its
counters no more rarely than a fourth as often as the edge's own settings say and no later than they say. A meter that
is new counts only once it was commissioned on site.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from edge.settings import IDENTITY, Settings
from hakari.errors import Refused
from hakari.wire.configuration import MeteringConfiguration

# Relative to the edge's own settings, not to what is in force: else many small steps would lead anywhere.
SLOWER, FASTER = 4, 60
MAX_INTERVAL_S = 3600
ON_SITE = "whoever is at the edge changes that in its own settings"


class BeyondAfar(Refused):
    """The change is none that may be made from afar."""


def check_afar(own: Settings, old: Settings, new: Settings) -> None:
    """Returns when `new` may follow `old` from afar; `own` is what the edge's own settings say, with nothing from afar.

    BeyondAfar names the first change that may not.
    """
    for why in _beyond(own, old, new):
        raise BeyondAfar(f"{why}; {ON_SITE}")


def check_rates(own: MeteringConfiguration, new: MeteringConfiguration) -> None:
    """Returns when the counters of `new` are read often enough, by the rates of `own`; BeyondAfar otherwise.

    `own` has every meter of `new`: it comes of `measure_of`.
    """
    measures = {meter.id: meter for meter in own.meters}
    for meter in new.meters:
        usual_s = {point.name: own.interval_ms * point.every // 1000 for point in measures[meter.id].profile.points}
        for point in meter.profile.points:
            period_s = new.interval_ms * point.every // 1000
            if point.kind == "counter" and period_s > SLOWER * usual_s[point.name]:
                raise BeyondAfar(
                    f"meter {meter.id}: {point.name} would be read every {period_s} s, the limit from afar is {SLOWER}"
                    f" times {usual_s[point.name]} s; {ON_SITE}"
                )


def measure_of(own: Settings, new: Settings) -> Settings:
    """`own` with the meters that only `new` has, at the rates of their profiles: by this new rates are measured."""
    known = {meter.id for meter in own.meters}
    added = [msgspec.structs.replace(meter, every={}) for meter in new.meters if meter.id not in known]
    return msgspec.structs.replace(own, meters=[*own.meters, *added])


def _beyond(own: Settings, old: Settings, new: Settings) -> Iterator[str]:
    own_s, interval_s = own.edge.interval_s, new.edge.interval_s
    longest_s = max(own_s, min(SLOWER * own_s, MAX_INTERVAL_S))
    if not own_s <= FASTER * interval_s <= FASTER * longest_s:
        shortest_s = -(-own_s // FASTER)
        yield f"[edge].interval_s = {interval_s} is not from {shortest_s} to {longest_s}, the limits from afar"
    if new.edge.max_lag_s > own.edge.max_lag_s:
        yield f"[edge].max_lag_s = {new.edge.max_lag_s} is more than {own.edge.max_lag_s}, the limit from afar"
    after = {meter.id: meter for meter in new.meters}
    for present in (own, old):
        for meter in present.meters:
            now = after.get(meter.id)
            if now is None:
                yield f"meter {meter.id} is left out, and from afar none may be"
                continue
            for field in IDENTITY:
                if getattr(meter, field) != getattr(now, field):
                    yield f"meter {meter.id}: its {field} may not be changed from afar"
