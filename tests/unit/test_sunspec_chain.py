"""The walk over a chain: where it begins, what it skips, where it ends, and what it never guesses."""

from __future__ import annotations

import pytest

from edge.sunspec.chain import BASES, MAX_MODELS, Chain, DeviceSilent, Heard, NotSunSpec, walk
from edge.sunspec.definitions import definitions
from hakari.errors import DATA_PROBLEM, NOT_REACHABLE
from tests.unit.sunspec_device import END, Device, common, inputs, model, walked

VENDOR = (64061, 3, 0xDEAD, 0xBEEF, 1)
MODULE = {"DCA": 1, "DCV": 2, "DCW": 3, "DCWH": 4, "Tmp": 5, "DCSt": 6}


def skipped(chain: Chain) -> dict[int, str]:
    return {found.address: found.skipped for found in chain.models if found.skipped}


@pytest.mark.parametrize("base", BASES)
def test_the_mark_is_looked_for_at_40000_50000_and_0(base: int) -> None:
    device = Device(base, common(), model(103, {}))
    chain = walked(device)
    assert chain.base == base
    assert [address for address, count in device.asked[: BASES.index(base) + 1]] == list(BASES[: BASES.index(base) + 1])
    assert [(found.id, found.address, found.length) for found in chain.models] == [
        (1, base + 2, 66),
        (103, base + 70, 50),
    ]
    assert chain.common == {"maker_name": "Maker", "model_name": "Model 7", "software_version": "1.2", "serial": "S-1"}
    assert not chain.broken


def test_another_base_can_be_told() -> None:
    assert walked(Device(39999, common()), (39999,)).base == 39999


def test_a_common_model_without_its_pad_moves_all_that_follows() -> None:
    chain = walked(Device(40000, common(65), model(203, {})))
    assert [(found.id, found.address, found.skipped) for found in chain.models] == [(1, 40002, ""), (203, 40069, "")]
    assert chain.common["serial"] == "S-1"


def test_unknown_models_are_skipped_by_their_length() -> None:
    chain = walked(Device(40000, common(), VENDOR, model(103, {})))
    assert [found.address for found in chain.models] == [40002, 40070, 40075]
    assert skipped(chain) == {40070: "not a model that hakari reads"}


def test_a_repeated_model_is_read_once() -> None:
    chain = walked(Device(40000, common(), model(203, {}), model(203, {})))
    assert skipped(chain) == {40177: "stands in the chain a second time; only the first is read"}


@pytest.mark.parametrize("length", [49, 51, 48, 60])
def test_a_wrong_length_is_refused_and_not_guessed(length: int) -> None:
    chain = walked(Device(40000, common(), model(103, {}, length), model(203, {})))
    assert skipped(chain) == {
        40070: f"has length {length} where its definition has 50; its layout is not guessed",
    }
    assert chain.models[-1].id == 203


def test_after_a_refused_one_a_model_of_the_right_length_is_read() -> None:
    chain = walked(Device(40000, common(), model(103, {}, 49), model(103, {})))
    assert list(skipped(chain)) == [40070]


@pytest.mark.parametrize("modules", [1, 2, 6, 8])
def test_modules_are_counted(modules: int) -> None:
    chain = walked(Device(40000, common(), inputs({}, [MODULE] * modules)))
    assert chain.models[1].repeats == modules


def test_a_count_that_contradicts_the_length_is_refused() -> None:
    words = list(inputs({}, [MODULE] * 2))
    words[8] = 3
    chain = walked(Device(40000, common(), tuple(words)))
    assert skipped(chain) == {
        40070: "says it repeats 3 times, but its length 48 has room for 2; its layout is not guessed",
    }


def test_a_count_that_is_not_implemented_leaves_the_length() -> None:
    words = list(inputs({}, [MODULE] * 2))
    words[8] = 0xFFFF
    assert walked(Device(40000, common(), tuple(words))).models[1].repeats == 2


def test_half_a_module_is_refused() -> None:
    chain = walked(Device(40000, common(), model(160, {}, 8 + 30)))
    assert skipped(chain) == {
        40070: "has length 38 where its definition has 8 + a multiple of 20; its layout is not guessed",
    }


def test_more_modules_than_the_limit_are_not_read() -> None:
    chain = walked(Device(0, common(), inputs({}, [MODULE] * 65)))
    assert skipped(chain) == {70: "repeats its registers 65 times; at most 64 are read"}


def test_a_chain_that_runs_into_an_exception_says_where() -> None:
    chain = walked(Device(40000, common(), model(103, {}), end=()))
    assert [found.id for found in chain.models] == [1, 103]
    assert chain.broken == "it breaks off at register 40122: exception 2 (illegal data address)"


def test_a_length_of_0_ends_the_walk() -> None:
    chain = walked(Device(40000, common(), (103, 0), model(203, {})))
    assert chain.broken == "it breaks off at register 40070: model 103 says it has a length of 0"
    assert [found.id for found in chain.models] == [1]


def test_a_model_beyond_the_address_space_ends_the_walk() -> None:
    chain = walked(Device(40000, common(), (64061, 65000)))
    assert chain.broken == "it breaks off at register 40070: model 64061 of length 65000 ends beyond 65535"


def test_a_chain_to_the_last_register_ends_the_walk() -> None:
    chain = walked(Device(65532, (64061, 0xFFFF), end=()), (65532,))
    assert "ends beyond 65535" in chain.broken
    chain = walked(Device(65531, (64061, 1, 7), end=()), (65531,))
    assert chain.broken == "it runs beyond register 65535 without an end"


def test_a_chain_without_an_end_is_left() -> None:
    chain = walked(Device(0, *[VENDOR] * (MAX_MODELS + 5)))
    assert len(chain.models) == MAX_MODELS
    assert chain.broken == f"it has more than {MAX_MODELS} models, the most that are walked"


def test_text_from_the_device_is_made_printable() -> None:
    words = list(common())
    words[2:4] = [0x1B5B, 0x41FF]
    assert walked(Device(40000, tuple(words))).common["maker_name"] == "[A r"


def test_a_device_without_the_mark_is_no_sunspec_device() -> None:
    device = Device(40000)
    device.words = {40000 + k: 0 for k in range(10)}
    with pytest.raises(
        NotSunSpec, match=r"no SunSpec mark 0x53756e53 at 40000: 0x00000000; 50000, 0: exception 2"
    ) as said:
        walked(device)
    assert said.value.exit_code == DATA_PROBLEM


@pytest.mark.parametrize("error", ["timeout", "connection", "exception 11 (gateway target device failed to respond)"])
def test_a_device_that_says_nothing_is_not_reachable(error: str) -> None:
    walking = walk(definitions())
    next(walking)
    for _ in BASES[1:]:
        walking.send(Heard(error=error))
    with pytest.raises(DeviceSilent, match="does not answer at 40000, 50000, 0: ") as said:
        walking.send(Heard(error=error))
    assert said.value.exit_code == NOT_REACHABLE


def test_a_device_that_falls_silent_on_the_way_gives_no_chain() -> None:
    walking = walk(definitions())
    next(walking)
    walking.send(Heard((0x5375, 0x6E53)))
    with pytest.raises(DeviceSilent, match="stops answering at register 40002"):
        walking.send(Heard(error="timeout"))


def test_what_ends_a_chain_is_the_end_model_alone() -> None:
    assert not walked(Device(40000, common(), end=END)).broken
