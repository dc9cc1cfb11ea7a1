"""Profiles: the bundled ones are all sound; files are read beside the settings; refusals name the point."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.library import ProfileUnusable, bundled, profile, read
from hakari.errors import BadConfiguration
from hakari.registers.check import ProfileInvalid

MINE = """
id = "mine"
maker = "Maker"
model = "Model"
source = "manual 1, page 2"
standing = "one-source"

[[points]]
name = "energy"
address = 0
type = "u32"
kind = "counter"
unit = "kWh"
word_order = "high_first"
"""


def test_bundled_profiles_are_found_and_checked() -> None:
    assert {"sunspec-inverter-103", "schneider-iem3155", "abb-b23", "spirax-sarco-tva"} <= set(bundled())
    for name in bundled():
        assert profile(name, Path()).id == name


def test_file_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINE)
    assert profile("mine.toml", tmp_path).points[0].unit == "kWh"


def test_unknown_name_gets_the_nearest_known_or_all() -> None:
    with pytest.raises(ProfileUnusable, match=r"'schneider_iem3155' is not bundled; did you mean schneider-iem3155"):
        profile("schneider_iem3155", Path())
    with pytest.raises(ProfileUnusable, match="did you mean abb-b23"):
        profile("ABB-B23", Path())
    with pytest.raises(ProfileUnusable, match=r"stand in docs/meters\.md; .* named with its \.toml$"):
        profile("?", Path())
    with pytest.raises(ProfileUnusable, match="not bundled"):
        profile("../profiles/abb-b23", Path())


def test_missing_file_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(ProfileUnusable, match="cannot be read"):
        profile("none.toml", tmp_path)
    (tmp_path / "bad.toml").write_bytes(b"\xff")
    with pytest.raises(ProfileUnusable, match="not UTF-8"):
        profile("bad.toml", tmp_path)
    (tmp_path / "huge.toml").write_bytes(b"#" * 300_000)
    with pytest.raises(ProfileUnusable, match="larger than"):
        profile("huge.toml", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('word_order = "high_first"\n', "", "point energy of type u32 has no word_order"),
        ('unit = "kWh"', 'units = "kWh"', "units"),
        ('unit = "kWh"', "", "counter without a unit"),
        ("address = 0", "address = 70000", "address"),
        ('type = "u32"', 'type = "u33"', "u33"),
        ("[[points]]", "[points]", "points"),
        ('id = "mine"', "id =", "TOML"),
        ('id = "mine"', 'id = "mine"\nid = "two"', "twice"),
    ],
)
def test_refused(old: str, new: str, part: str) -> None:
    assert old in MINE
    with pytest.raises(BadConfiguration, match=part):
        read(MINE.replace(old, new), "mine.toml")


def test_contradiction_is_a_profile_problem() -> None:
    with pytest.raises(ProfileInvalid, match="mine: point energy"):
        read(MINE + "exponent = 1\nminimum = 'x'\n", "mine.toml")


def test_a_profile_of_ones_own_is_unproven_whatever_it_says(tmp_path: Path) -> None:
    for proof in ("", 'proof = "constructed"\n', 'proof = "captured"\n'):
        (tmp_path / "mine.toml").write_text(proof + MINE)
        assert profile("mine.toml", tmp_path).proof == "constructed"
