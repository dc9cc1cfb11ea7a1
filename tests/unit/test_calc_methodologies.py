"""Methodologies: formulas against published figures, standing beside results, content hashes, discovery."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from calc.methodologies import boiler, pv
from calc.methodologies.base import NOTICE, FormulaRefused, load
from calc.methodologies.declared import MethodologyInvalid
from calc.methodologies.registry import MethodologyUnknown, by_sha256, find, installed
from hakari.settings import SettingsRefused
from hakari.units import UnitUnknown
from tests.unit.calc_world import FIXTURES, fixture_methodology, replaced

PUBLISHED = FIXTURES / "hakari_fixture"


def test_pv_reproduces_the_published_ex_ante_figure_of_mn006() -> None:
    # 23,134 MWh a year at 0.797 were published as 18,438 t.
    emissions = pv.METHODOLOGY.evaluate({"EG": Decimal(23134)}, {"EF_RE": Decimal("0.797")})
    assert emissions.reference == Decimal("18437.798")
    assert emissions.project == 0


def test_pv_reproduces_the_published_reference_emissions_of_mn004() -> None:
    emissions = pv.METHODOLOGY.evaluate({"EG": Decimal(14182)}, {"EF_RE": Decimal("1.0601")})
    assert emissions.reference == Decimal("15034.3382")


def test_boiler_is_heat_over_efficiencies_plus_electricity() -> None:
    parameters = {name: Decimal(value) for name, value in
                  {"eta_RE": "0.5", "eta_PJ": "0.8", "EF_fuel": "0.0909", "EF_elec": "1.1"}.items()}  # fmt: skip
    emissions = boiler.METHODOLOGY.evaluate({"PH": Decimal(100), "EC": Decimal(2)}, parameters)
    assert emissions.reference == Decimal("18.18")
    assert emissions.project == Decimal("11.3625") + Decimal("2.2")


def test_boiler_keeps_fifty_digits_and_no_float() -> None:
    parameters = {name: Decimal(value) for name, value in
                  {"eta_RE": "0.7", "eta_PJ": "0.9", "EF_fuel": "0.1", "EF_elec": "0"}.items()}  # fmt: skip
    emissions = boiler.METHODOLOGY.evaluate({"PH": Decimal(1), "EC": Decimal(0)}, parameters)
    assert str(emissions.reference) == "0.14285714285714285714285714285714285714285714285714"


def test_boiler_refuses_a_project_that_saves_no_fuel() -> None:
    parameters = {"eta_RE": Decimal("0.8"), "eta_PJ": Decimal("0.8"), "EF_fuel": Decimal(1), "EF_elec": Decimal(1)}
    with pytest.raises(FormulaRefused, match="eta_PJ is not above eta_RE"):
        boiler.METHODOLOGY.evaluate({"PH": Decimal(1), "EC": Decimal(1)}, parameters)


def test_what_is_recalled_carries_the_notice_in_two_languages_and_is_not_approved() -> None:
    for one in (pv.METHODOLOGY, boiler.METHODOLOGY):
        assert one.data.standing == "recalled"
        assert not one.approved
        assert one.notice == NOTICE
        assert "本文" in one.notice_ja


def test_a_third_partys_published_methodology_is_found_and_carries_no_notice() -> None:
    with pytest.raises(MethodologyUnknown, match="not installed"):
        find("FIXTURE_PUBLISHED", "1.0")
    with fixture_methodology():
        found = find("FIXTURE_PUBLISHED", "1.0")
        assert found.approved
        assert found.notice == ""
        assert by_sha256(found.sha256) is found


def test_an_unknown_methodology_names_the_nearest() -> None:
    with pytest.raises(MethodologyUnknown, match=r"did you mean MN_AM002 1\.0"):
        find("MN_AM02", "1.0")


def test_content_hashes_are_unique_and_stable() -> None:
    hashes = [one.sha256 for one in installed()]
    assert len(set(hashes)) == len(hashes)
    assert load(pv.__file__, pv.evaluate).sha256 == pv.METHODOLOGY.sha256


@pytest.mark.parametrize("suffix", ["py", "toml"])
def test_a_changed_byte_of_module_or_data_is_another_methodology(tmp_path: Path, suffix: str) -> None:
    for name in ("published.py", "published.toml", "published.md"):
        shutil.copy(PUBLISHED / name, tmp_path / name)
    before = load(str(tmp_path / "published.py"), pv.evaluate).sha256
    changed = tmp_path / f"published.{suffix}"
    changed.write_text(changed.read_text() + "# \n")
    assert load(str(tmp_path / "published.py"), pv.evaluate).sha256 != before


def _edited(folder: Path, old: str, new: str) -> str:
    for name in ("published.py", "published.toml", "published.md"):
        shutil.copy(PUBLISHED / name, folder / name)
    data = folder / "published.toml"
    data.write_text(replaced(data.read_text(), old, new))
    return str(folder / "published.py")


def test_a_document_that_is_not_its_hash_is_refused(tmp_path: Path) -> None:
    module = _edited(tmp_path, 'title = "Fixture', 'title = "A fixture')
    (tmp_path / "published.md").write_text("another text\n")
    with pytest.raises(MethodologyInvalid, match=r"published\.md of FIXTURE_PUBLISHED has SHA-256"):
        load(module, pv.evaluate)


def test_an_unknown_unit_or_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnitUnknown, match="did you mean MWh"):
        load(_edited(tmp_path, 'unit = "MWh"', 'unit = "MWH"'), pv.evaluate)
    with pytest.raises(SettingsRefused, match=r"published\.toml: aprover is not a known key; did you mean approver\?"):
        load(_edited(tmp_path, 'approver = "', 'aprover = "'), pv.evaluate)


def test_published_without_an_approver_is_not_approved(tmp_path: Path) -> None:
    assert not load(_edited(tmp_path, 'approver = "Fixture Committee"', ""), pv.evaluate).approved
