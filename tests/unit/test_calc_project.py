"""A project file: every wrong key named, every declared input demanded."""

from __future__ import annotations

import hashlib

import pytest

from calc.methodologies.registry import find
from calc.project import check_project, read_project, values_of
from hakari.errors import BadConfiguration
from tests.unit.calc_world import DOCUMENT_SHA256, EXPORT, fixture_methodology, project_text, replaced

TEXT = project_text()


def _check(text: str) -> None:
    with fixture_methodology():
        check_project(read_project(text.encode(), "p.toml"), find("FIXTURE_PUBLISHED", "1.0"))


def test_a_good_project_gives_its_values_and_the_hash_of_its_bytes() -> None:
    with fixture_methodology():
        project = read_project(TEXT.encode(), "p.toml")
        values = values_of(project, find("FIXTURE_PUBLISHED", "1.0"))
    assert {name: str(value) for name, value in values.items()} == {"EF": "0.5"}
    assert project.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
    assert project.edge_ids == ["site-e1"]


def test_a_parameter_is_converted_exactly_to_the_declared_unit() -> None:
    text = replaced(TEXT, 'value = "0.5"\nunit = "tCO2/MWh"', 'value = "0.1"\nunit = "tCO2/GJ"')
    with fixture_methodology():
        values = values_of(read_project(text.encode(), "p.toml"), find("FIXTURE_PUBLISHED", "1.0"))
    assert str(values["EF"]) == "0.36"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('zone = "Etc/UTC"\n', "", "time zone is missing"),
        ('zone = "Etc/UTC"', 'zone = "Mars/Base"', "Mars/Base"),
        ('name = "Test plant"', 'nmae = "Test plant"', r"p\.toml: \[project\]\.nmae .*; did you mean name"),
        ("accuracy_class", "acuracy_class", r"\[monitored#1\.points#1\]\.acuracy_class .* did you mean accuracy_class"),
        ('id = "plant"', 'id = "../plant"', r"\.\./plant"),
        ('value = "0.5"', 'value = "0.5\\n"', "value"),
        (f'"{DOCUMENT_SHA256}"', f'"{DOCUMENT_SHA256}\\n"', "document_sha256"),
        ('name = "EF"', 'name = "EG"', r"\[\[parameter\]\] EF is missing"),
        ('parameter = "IMP"', 'parameter = "IMPORT"', r"\[\[monitored\]\] IMP is missing"),
        ('parameter = "IMP"', 'parameter = "EXP"', r"\[\[monitored\]\] IMP is missing"),
        ("site-e1/import/energy", EXPORT, "bound twice"),
        ("site-e1/import/energy", "site-e1/import", "two slashes"),
        ("site-e1/import/energy", "site/import/energy", "site-edge"),
        ('unit = "tCO2/MWh"', 'unit = "MWh"', "parameter EF"),
        ('unit = "tCO2/MWh"', 'unit = "tco2/MWh"', "did you mean tCO2/MWh"),
        ('value = "0.5"', 'value = "5"', "outside 0 to 2"),
        ('value = "0.5"', "value = 0.5", "value"),
        ('option = "C"', 'option = "D"', "option"),
        ('capacity_kw = "100"', 'capacity_kw = "0"', "above 0"),
        ("valid_to = 2026-01-01", "valid_to = 2015-01-01", "ends before its date"),
        ("interval_s = 3600", "interval_s = 0", "interval_s"),
        ("boundary_limit_h = 1", "boundary_limit_h = 1\nboundary_limit_h = 2", "twice"),
    ],
)
def test_what_is_wrong_is_refused_in_one_sentence_that_names_it(old: str, new: str, sentence: str) -> None:
    with pytest.raises(BadConfiguration, match=sentence) as refused:
        _check(replaced(TEXT, old, new))
    assert "\n" not in str(refused.value)


def test_an_undeclared_parameter_is_refused() -> None:
    more = '[[parameter]]\nname = "X"\nvalue = "1"\nunit = "1"\nstanding = "demo"\nsource = ""\n'
    with pytest.raises(BadConfiguration, match="'X' is not declared"):
        _check(TEXT + more)


def test_a_byte_order_mark_is_refused_in_a_sentence_that_says_how_to_save() -> None:
    with pytest.raises(BadConfiguration, match=r"^p\.toml: .*; save it as UTF-8 without a byte order mark$"):
        read_project(b"\xef\xbb\xbf" + TEXT.encode(), "p.toml")


def test_bytes_that_are_no_project_are_refused() -> None:
    for content in (b"", b"\xff\xfe", b"[project", b"x = 1" * 100_000):
        with pytest.raises(BadConfiguration):
            read_project(content, "p.toml")
