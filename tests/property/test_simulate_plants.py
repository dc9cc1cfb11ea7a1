"""The seeded chiller and transformer at any millisecond: no energy is made or lost, in whatever order one asks."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from simulate.chiller import ChillerModel
from simulate.solar import SLOT_MS
from simulate.source import Source
from simulate.transformer import Rating, TransformerModel

EXAMPLES = 15
START_MS = 1_467_331_200_000
HOUR_MS = 3_600_000
FOUR_DAYS_MS = 4 * 86_400_000
RATING = Rating(capacity_va=1e6, primary_v=22_000, secondary_v=400, no_load_w=450, load_w=9000)

seeds = st.integers(0, 2**63 - 1)
times = st.lists(st.integers(START_MS, START_MS + FOUR_DAYS_MS), min_size=1, max_size=6)


def chiller(seed: int) -> ChillerModel:
    return ChillerModel(seed, capacity_w=1_400_000, mean_outdoor_c=22, longitude_deg=-105, start_ms=START_MS)


def transformer(seed: int) -> TransformerModel:
    return TransformerModel(seed, rating=RATING, outages=20, longitude_deg=-105, start_ms=START_MS)


def summed_wh(source: Source, power: str, end_ms: int) -> Fraction:
    """The power of each slot times the time that it held."""
    begins = range(START_MS, end_ms, SLOT_MS)
    return sum(
        (source.value(power, t_ms) * Fraction(min(end_ms - t_ms, SLOT_MS), HOUR_MS) for t_ms in begins), Fraction(0)
    )


@settings(max_examples=EXAMPLES, deadline=None)
@given(seeds, times)
def test_a_chiller_conserves_energy_and_counts_its_power(seed: int, at: list[int]) -> None:
    model = chiller(seed)
    for t_ms in at:
        value = {name: model.value(name, t_ms) for name in model.quantities}
        chilled_w_k = Fraction(1_400_000, 5)
        assert value["cooling_w"] == chilled_w_k * (value["chilled_in_c"] - value["chilled_out_c"])
        rejected_w = chilled_w_k * 6 / 5 * (value["cooling_out_c"] - value["cooling_in_c"])
        assert rejected_w == (value["cooling_w"] + value["power_w"] if value["cooling_w"] else 0)
        assert value["power_w"] > 0
    assert model.value("import_wh", max(at)) == summed_wh(chiller(seed), "power_w", max(at))


@settings(max_examples=EXAMPLES, deadline=None)
@given(seeds, times)
def test_a_transformer_conserves_energy_and_counts_both_sides(seed: int, at: list[int]) -> None:
    model = transformer(seed)
    for t_ms in at:
        value = {name: model.value(name, t_ms) for name in model.quantities}
        assert value["primary_w"] == value["secondary_w"] + value["no_load_loss_w"] + value["load_loss_w"]
        assert (value["primary_phase_v"] > 0) == (value["secondary_phase_v"] > 0) == (value["no_load_loss_w"] > 0)
        assert value["energised_h"] <= Fraction(t_ms - START_MS, HOUR_MS)
    end_ms = max(at)
    for side in ("primary", "secondary"):
        assert model.value(f"{side}_wh", end_ms) == summed_wh(transformer(seed), f"{side}_w", end_ms)


@settings(max_examples=EXAMPLES, deadline=None)
@given(seeds, times)
def test_the_order_of_asking_changes_nothing(seed: int, at: list[int]) -> None:
    for make in (chiller, transformer):
        one, other = make(seed), make(seed)
        forward = [[one.value(name, t_ms) for name in sorted(one.quantities)] for t_ms in at]
        backward = [[other.value(name, t_ms) for name in sorted(other.quantities)] for t_ms in reversed(at)]
        assert forward == backward[::-1]
