"""What refusals teach: holes, limits, walls and absent registers are found by halving, kept, and forgotten in time."""

from __future__ import annotations

from edge.reads.learned import MAX_EXTRA_READS, NOTHING, Learned, digest_of, news, parse, text_of
from edge.reads.plan import planned_of
from hakari.registers.groups import groups_of
from hakari.registers.profile import Profile, Span
from hakari.registers.requests import ReadRequest
from hakari.wire.configuration import Meter
from tests.unit.edge_lines import Device, Plant, counter, errors, gauge, profile_of

WIDE = profile_of([gauge(address) for address in range(10)], [Span("holding", 0, 10)])
GAPS = profile_of([gauge(0), gauge(2), gauge(10), gauge(12)], [Span("holding", 0, 13)])


def _good(plant: Plant) -> set[int]:
    """Registers with an answer in the next slot."""
    found: set[int] = set()
    for block in plant.slot().blocks:
        if not block.error:
            address, count = int(block.request[4:8], 16), int(block.request[8:12], 16)
            found |= set(range(address, address + count))
    return found


def test_a_hole_is_found_within_the_sample_and_never_crossed_again() -> None:
    plant = Plant({1: Device(holes=frozenset({5}))}, GAPS)
    assert {0, 2, 10, 12} <= _good(plant)
    assert plant.line.taken() == [(1, 0, 13), (1, 0, 3), (1, 10, 3)]
    assert [lesson.what for lesson in plant.sampling.lessons()] == [
        "no request is answered that reaches over holding register 10 from before it"]  # fmt: skip
    assert _good(plant) == {0, 1, 2, 10, 11, 12}
    assert plant.line.taken() == [(1, 0, 3), (1, 10, 3)]
    assert plant.sampling.lessons() == []


def test_a_block_limit_is_learnt_downwards_whatever_the_exception() -> None:
    many = profile_of([gauge(address) for address in range(100)])
    for code in (2, 3):
        plant = Plant({1: Device(most=60, too_long=code)}, many)
        assert _good(plant) == set(range(100))
        assert plant.line.taken() == [(1, 0, 100), (1, 0, 50), (1, 50, 50)]
        assert [lesson.what for lesson in plant.sampling.lessons()] == ["it answers at most 50 registers a request"]
        assert _good(plant) == set(range(100))
        assert plant.line.taken() == [(1, 0, 50), (1, 50, 50)]


def test_a_wall_between_blocks_is_no_limit_where_a_longer_read_was_answered() -> None:
    points = [gauge(address) for address in (*range(20), *range(30, 40))]
    plant = Plant({1: Device(walls=(35,))}, profile_of(points))
    assert _good(plant) == {*range(20), *range(30, 40)}
    assert plant.sampling.lessons()[0].what == (
        "no request is answered that reaches over holding register 35 from before it"
    )
    plant.line.taken()
    plant.slot()
    assert plant.line.taken() == [(1, 0, 20), (1, 30, 5), (1, 35, 5)]


def test_a_register_refused_alone_is_bad_and_asked_once_an_hour() -> None:
    plant = Plant({1: Device(holes=frozenset({3}))}, WIDE)
    assert _good(plant) == set(range(10)) - {3}
    (lesson,) = plant.sampling.lessons()
    assert lesson.what == "it refuses holding register 3: exception 2 (illegal data address)"
    told = "not asked: exception 2 (illegal data address); asked again once an hour"
    plant.line.taken()
    assert errors(plant.slot()) == [("m1", ""), ("m1", told), ("m1", "")]  # asked at start: next slot is the first
    for _ in range(5):
        assert plant.line.taken() == [(1, 0, 3), (1, 4, 6)]
        assert errors(plant.slot())[1] == ("m1", told)
    plant.line.taken()
    plant.hands.wait(3_600_000)
    assert errors(plant.slot())[1] == ("m1", "exception 2 (illegal data address)")
    assert plant.line.taken() == [(1, 0, 3), (1, 3, 1), (1, 4, 6)]
    plant.slot()
    assert plant.line.taken() == [(1, 0, 3), (1, 4, 6)]


def test_a_register_that_is_answered_again_is_read_as_before() -> None:
    plant = Plant({1: Device(holes=frozenset({3}))}, WIDE)
    plant.slot()
    plant.sampling.lessons()
    plant.devices[1].holes = frozenset()
    plant.hands.wait(3_600_000)
    assert errors(plant.slot()) == [("m1", "")] * 3
    assert [lesson.what for lesson in plant.sampling.lessons()] == ["it answers holding register 3 again"]
    plant.line.taken()
    plant.slot()
    assert plant.line.taken() == [(1, 0, 10)]


def test_what_was_learnt_outlives_the_process_and_refusals_are_asked_at_start() -> None:
    notes: dict[str, str] = {}
    plant = Plant({1: Device(holes=frozenset({3}))}, WIDE, kept=lambda key: notes.get(key, ""))
    plant.slot()
    for lesson in plant.sampling.lessons():
        notes[lesson.key] = lesson.text
    assert list(notes) == ["learned/m1"]
    plant.start()
    plant.line.taken()
    plant.slot()
    assert plant.line.taken() == [(1, 0, 3), (1, 3, 1), (1, 4, 6)]
    assert plant.sampling.lessons() == []


def test_another_profile_meter_or_place_forgets() -> None:
    meter = Meter("m1", "line", 1, "S1", WIDE)
    kept = text_of(Learned(meter=digest_of(meter), max_words=7))
    assert parse(kept, meter).max_words == 7
    for other in (
        Meter("m1", "line", 1, "S1", GAPS), Meter("m1", "line", 1, "S2", WIDE), Meter("m1", "line", 2, "S1", WIDE)
    ):  # fmt: skip
        assert parse(kept, other) == Learned(meter=digest_of(other))
    for text in ("", "{", '{"meter": 5}', "[]"):
        assert parse(text, meter) == Learned(meter=digest_of(meter))


def test_of_a_meter_that_refuses_everything_nothing_is_learnt() -> None:
    plant = Plant({1: Device(words=0)}, WIDE)
    plant.slot()
    assert 1 < len(plant.line.taken()) <= 1 + MAX_EXTRA_READS
    assert plant.sampling.lessons() == []
    for _ in range(3):  # nor is it taken apart in every slot
        assert errors(plant.slot()) == [("m1", "exception 2 (illegal data address)")]
    assert plant.line.taken() == [(1, 0, 10)] * 3
    plant.devices[1].words = 200
    assert _good(plant) == set(range(10))


def test_many_refusals_are_learnt_over_several_slots() -> None:
    holes = frozenset(range(1, 100, 2))
    plant = Plant({1: Device(holes=holes)}, profile_of([gauge(address) for address in range(100)]))
    most = 0
    for _ in range(20):
        _good(plant)
        most = max(most, len(plant.line.taken()))
    assert _good(plant) == set(range(100)) - holes
    assert most < 100 + MAX_EXTRA_READS * 8
    assert plant.line.taken() == [(1, address, 1) for address in range(0, 100, 2)]


def test_silence_amid_the_search_teaches_nothing() -> None:
    class Dies(Device):
        def answer(self, request: ReadRequest) -> bytes | None:
            self.silent = request.count < 5
            return super().answer(request)

    plant = Plant({1: Dies(holes=frozenset({3}))}, WIDE)
    plant.slot()
    assert plant.sampling.lessons() == []


def test_a_value_is_never_split_by_what_is_learnt() -> None:
    plant = Plant({1: Device(most=3)}, profile_of([counter(0), counter(2), counter(4)]))
    plant.slot()
    assert {count for _, _, count in plant.line.taken()} == {6, 4, 2}
    plant.slot()
    assert plant.line.taken() == [(1, 0, 2), (1, 2, 2), (1, 4, 2)]


def test_learning_needs_time_in_the_slot() -> None:
    plant = Plant({1: Device(holes=frozenset({3}))}, WIDE, interval_ms=1000, each_ms=1100)
    plant.slot()
    assert plant.line.taken() == [(1, 0, 10)]
    assert plant.sampling.lessons() == []


def test_news_of_nothing_is_nothing() -> None:
    assert list(news(NOTHING, NOTHING)) == []


def test_a_limit_of_the_profile_holds_beside_the_learnt_one() -> None:
    strict = Profile("p", "m", "m", "s", "two-sources", [gauge(k) for k in range(8)], max_words=2)
    assert [one.request.count for one in planned_of(strict, 1, Learned(max_words=4))] == [2] * 4
    assert [one.request.count for one in planned_of(WIDE, 1, Learned(max_words=4))] == [4, 4, 2]


def test_what_a_commissioning_found_not_backed_is_not_asked_again() -> None:
    plant = Plant({1: Device()}, GAPS)
    (group,) = [one for one in groups_of(GAPS) if one.start == 10]
    told = Learned(digest_of(plant.configuration.meters[0])).with_refused(group, "exception 2 (x)", lasting=True)
    plant.kept = lambda _key: text_of(told)
    plant.start()
    assert 10 not in _good(plant)
    assert not [one for one in plant.line.taken() if one[1] <= 10 < one[1] + one[2]]
    assert plant.sampling.lessons() == []
