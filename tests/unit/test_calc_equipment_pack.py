"""Packs of projects with equipment: verified offline, and every change of a factor, a date or a threshold found."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from click.testing import CliRunner

from calc import run
from calc.cli import period, verify
from calc.methodologies.registry import find
from calc.statement import open_statement, sign_statement
from calc.texts import period_text
from calc.verify import Expected, verify_pack
from hakari.ledger.result import decode, encode, sha256_of
from hakari.ledger.types import PeriodRecord
from hakari.pack.reader import load, read
from hakari.pack.writer import write_into
from tests.unit import calc_world as w
from tests.unit import equipment_world as e

GAP = "site-e1/export/energy, 2016-07-09T07:00:00Z to 2016-07-09T13:00:00Z"

Contents = dict[str, bytes]


class Packed(NamedTuple):
    """A pack, what is in it, and everybody's keys."""

    path: Path
    contents: Contents
    world: w.World


def _packed(folder: Path, text: str, readings: list[w.Reading], cfg: str, world: w.World) -> Packed:
    world.record(readings, cfg, batch=40)
    config = world.write_settings()
    (folder / "project.toml").write_text(text)
    run.add_project(config, folder / "project.toml")
    run.compute_once(config)
    path = run.write_pack_of(config, "plant-2016-07", folder / "a.hakari")[0]
    contents = {name: bytes(content) for name, content in read(load(path)).contents.items()}
    del contents["manifest.json"]
    return Packed(path, contents, world)


@pytest.fixture(scope="module")
def chillers(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    folder = tmp_path_factory.mktemp("chillers")
    world = w.World(folder)
    return _packed(folder, e.chiller_text(), w.month(), world.configure(), world)


@pytest.fixture(scope="module")
def transformers(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    folder = tmp_path_factory.mktemp("transformers")
    world = w.World(folder)
    cfg = e.configure_gauges(world)
    readings: list[w.Reading] = [(t, volt, volt) for t, volt in e.july_voltage()]
    return _packed(folder, e.transformer_text(), readings, cfg, world)


def _built(contents: Contents) -> bytes:
    file = io.BytesIO()
    write_into(file, {name: [content] for name, content in contents.items()})
    return file.getvalue()


def _resigned(packed: Packed, contents: Contents) -> bytes:
    """The pack with a statement by the true statement key that fits `contents`: only recomputing finds the change."""
    result = decode(contents["result.json"].decode())
    stated = open_statement(contents["statement.note"], [packed.world.statement.verifier])
    stated = msgspec.structs.replace(
        stated,
        project_sha256=sha256_of(contents["project.toml"].decode()),
        result_sha256=sha256_of(encode(result)),
        reductions_tco2=result.reductions_tco2,
    )
    return _built({**contents, "statement.note": sign_statement(stated, packed.world.statement)})


def test_both_packs_verify_with_the_figures_worked_out_by_hand(chillers: Packed, transformers: Packed) -> None:
    for packed, reductions in (
        (chillers, "0.8092550571379839672522599351867644550571379839671"),
        (transformers, "6.661809"),
    ):
        verdict = verify_pack(packed.path, packed.world.owner.verifier)
        assert (verdict.problems, verdict.ok, verdict.state) == ([], True, "provisional")
        assert verdict.reductions_tco2 == reductions
        assert len(verdict.equipment) == 2
        assert _built(packed.contents) == load(packed.path)


@pytest.mark.parametrize("entry", ["project.toml", "result.json"])
def test_every_changed_byte_of_what_a_total_rests_on_is_found(transformers: Packed, entry: str) -> None:
    content = transformers.contents[entry]
    # Every byte of the register and of the threshold, and each eleventh elsewhere.
    near = {content.index(mark) + k for mark in (b"energised_above", b"in_service", b"units") for k in range(30)}
    places = sorted(near | set(range(0, len(content), 11 if entry == "project.toml" else 41)))
    missed = []
    for at in places:
        changed = bytearray(content)
        changed[at] ^= 1
        if verify_pack(_built({**transformers.contents, entry: bytes(changed)}), transformers.world.owner.verifier).ok:
            missed.append(at)
    assert missed == []


@pytest.mark.parametrize(
    ("which", "old", "new", "field"),
    [
        ("chillers", "in_service = 2016-07-11", "in_service = 2016-07-01", "inputs"),
        ("chillers", "in_service = 2016-06-01", "in_service = 2016-06-02", "equipment"),
        ("chillers", 'value = "400"', 'value = "470"', "equipment"),
        ("chillers", 'value = "6.4"', 'value = "6.5"', "reference_tco2"),
        ("transformers", 'energised_above = "6000"', 'energised_above = "6000.1"', "inputs"),
        ("transformers", "units = 20", "units = 21", "reference_tco2"),
        ("transformers", "out_of_service = 2016-07-21", "out_of_service = 2016-07-22", "inputs"),
        ("transformers", "t-400 kVA", "t-401 kVA", "equipment"),
    ],
)  # fmt: skip
def test_a_project_file_changed_by_who_holds_the_statement_key_gives_another_result(
    which: str, old: str, new: str, field: str, request: pytest.FixtureRequest
) -> None:
    packed: Packed = request.getfixturevalue(which)
    project = w.replaced(packed.contents["project.toml"].decode(), old, new).encode()
    changed = _resigned(packed, {**packed.contents, "project.toml": project})
    verdict = verify_pack(changed, packed.world.owner.verifier)
    assert not verdict.ok
    assert any(problem.text.startswith(field) for problem in verdict.problems), verdict.problems
    registered = sha256_of(packed.contents["project.toml"].decode())
    found = verify_pack(changed, packed.world.owner.verifier, Expected(project_sha256=registered)).problems
    assert any("another plan or parameters" in problem.text for problem in found)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"value":"5.33"', '"value":"5.32"', "equipment[0].class_values[0].value: stated 5.32, computed 5.33"),
        (
            '"name":"TD_chilled","value":"1.5"', '"name":"TD_chilled","value":"1.6"',
            "methodology.constants[0].value: stated 1.6, computed 1.5",
        ),
        (
            '"in_service":"2016-07-11"', '"in_service":"2016-07-01"',
            'equipment[1].in_service: stated "2016-07-01", computed "2016-07-11"',
        ),
        ('"class":"below-300"', '"class":"300-450"', 'equipment[1].class: stated "300-450", computed "below-300"'),
        ('"units":1', '"units":2', "; ".join(f"equipment[{k}].units: stated 2, computed 1" for k in (0, 1))),
        ('"equipment":"ch-2"', '"equipment":"ch-1"', 'inputs[1].equipment: stated "ch-1", computed "ch-2"'),
        ('"EC[ch-2]":"0.504"', '"EC[ch-2]":"0.505"', "vintages[0].quantities.EC[ch-2]: stated 0.505, computed 0.504"),
    ],
)  # fmt: skip
def test_a_factor_changed_in_the_result_alone_is_named_with_both_values(
    chillers: Packed, old: str, new: str, sentence: str
) -> None:
    text = w.replaced(chillers.contents["result.json"].decode(), old, new)
    changed = _resigned(chillers, {**chillers.contents, "result.json": text.encode()})
    verdict = verify_pack(changed, chillers.world.owner.verifier)
    assert sentence in [problem.text for problem in verdict.problems if problem.entry == "result.json"]


def test_the_commands_show_every_factor(chillers: Packed, transformers: Packed) -> None:
    owner = str(chillers.world.owner.verifier)
    text = CliRunner().invoke(verify, [str(chillers.path), "--owner-key", owner]).output
    for part in (
        "EC[ch-1] site-e1/export/energy (S-export): 12440000 Wh − 5000000 Wh = 7.44 MWh",
        "equipment ch-1: 1 × 300-450, in service from 2016-06-01",
        "equipment ch-2, 2016: EC 0.504; reference 0.4507317",
        "equipment ch-1, class value COP_RE = 5.33 1, recalled, approved by nobody",
        "equipment ch-2, parameter COP_PJ = 5.5 1, demo",
        "constant TD_cooling = 1.5 K, recalled",
        "not checked against the approved text",
    ):
        assert part in text
    owner = str(transformers.world.owner.verifier)
    text = CliRunner().invoke(verify, [str(transformers.path), "--owner-key", owner]).output
    assert "H[t-1000] site-e1/export/energy (S-export): above 6000 V for 734 h, from 6350 V to 6350 V" in text
    assert "equipment t-400: 3 × t-400 kVA, in service from 2016-07-16 until before 2016-07-21" in text
    shown = json.loads(CliRunner().invoke(verify, [str(transformers.path), "--owner-key", owner, "--json"]).output)
    assert [one["class"] for one in shown["equipment"]] == ["t-1000 kVA", "t-400 kVA"]
    config = str(transformers.world.folder / "calc.toml")
    text = CliRunner().invoke(period, ["show", "plant-2016-07", "--config", config]).output
    assert "H[t-400]" in text
    assert f"energised-gap: {GAP}, 6 h, less" in text


def test_the_text_of_verify_says_when_a_line_was_and_by_which_formula(transformers: Packed) -> None:
    words = [str(transformers.path), "--owner-key", str(transformers.world.owner.verifier)]
    text = CliRunner().invoke(verify, words).output
    used = find("AMORPHOUS_TRANSFORMER", "1.0")
    for part in (
        f"energised-gap: {GAP}, 6 h, less",
        f"methodology AMORPHOUS_TRANSFORMER 1.0: {used.data.title} / アモルファス高効率変圧器",
        f"content {used.sha256}",
        f"formula: {used.data.formula}",
        "; accuracy class 0.5S, certificate C-1 valid to 2026-01-01",
    ):
        assert part in text


def test_a_line_stands_in_the_time_of_the_plant(transformers: Packed) -> None:
    result = verify_pack(transformers.path, transformers.world.owner.verifier).result
    assert result is not None
    moved = msgspec.structs.replace(result, zone="Asia/Ho_Chi_Minh")
    span = (result.start_ms, result.end_ms, moved.zone)
    record = PeriodRecord("p", "plant", "month", *span, 1, "open", encode(moved), "", "", None, 0)
    text = period_text(record, moved)
    assert "2016-07-09T14:00:00+07:00 to 2016-07-09T20:00:00+07:00, 6 h, less" in text


def test_the_json_of_a_verdict_holds_the_whole_result_that_was_computed(transformers: Packed) -> None:
    words = [str(transformers.path), "--owner-key", str(transformers.world.owner.verifier), "--json"]
    shown = json.loads(CliRunner().invoke(verify, words).output)["result"]
    assert shown == json.loads(transformers.contents["result.json"])
    assert (shown["start_ms"], shown["zone"]) == (w.START_MS, "Etc/UTC")
    assert shown["inputs"][0]["energised_above"] == "6000"
    assert shown["lines"]
