"""Point lists: what becomes a profile, and what is refused with its row, column, value and what is allowed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook

from edge import library
from edge.tools.points_file import MAX_FILE_BYTES, PointsUnusable, read
from edge.tools.points_table import Choices, Imported, Sheet, import_points
from hakari.cli.root import main
from hakari.registers.profile import Profile

HEAD = ["Tag", "Address", "Type", "Unit", "Gain", "Function", "Word order", "Words", "Counter", "Remarks"]
ENERGY = ["energy_import", "0x5000", "UINT64", "kWh", "0.01", "03", "ABCD", "4", "yes", "total"]
CHOICES = Choices("meter", "maker", "model", "list")


def imported(*rows: list[str], head: list[str] | None = None, choices: Choices = CHOICES) -> Imported:
    return import_points([Sheet("points", [head or HEAD, *rows], [])], choices)


def profile(*rows: list[str], head: list[str] | None = None, choices: Choices = CHOICES) -> Profile:
    done = imported(*rows, head=head, choices=choices)
    assert done.refused == []
    assert done.profile is not None
    return done.profile


def row(**cells: str) -> list[str]:
    """ENERGY with other cells."""
    names = ["name", "address", "type", "unit", "gain", "table", "order", "words", "counter", "remarks"]
    return [cells.get(name, ENERGY[k]) for k, name in enumerate(names)]


def test_a_point_as_the_list_says_it() -> None:
    (point,) = profile(ENERGY).points
    assert (point.name, point.address, point.type, point.kind) == ("energy_import", 0x5000, "u64", "counter")
    assert (point.unit, point.exponent, point.table, point.word_order) == ("kWh", -2, "holding", "high_first")
    assert "total" in point.manual


def test_what_is_imported_is_unproven() -> None:
    assert profile(ENERGY).proof == "constructed"


def test_japanese_headers_and_words() -> None:
    head = ["点名", "アドレス", "データ型", "単位", "倍率", "ファンクション", "ワード順", "積算", "備考"]
    rows = [
        ["energy_import", "400001", "符号なし32ビット", "kWh", "0.1", "保持レジスタ", "上位先", "○", "積算電力量"],
        ["power", "300003", "単精度", "\uff4b\uff37", "", "入力", "下位先", "瞬時", ""],
    ]
    energy, power = profile(*rows, head=head).points
    assert (energy.address, energy.table, energy.type, energy.kind, energy.exponent) == (
        0, "holding", "u32", "counter", -1)  # fmt: skip
    assert (power.address, power.table, power.type, power.kind, power.unit) == (2, "input", "f32", "gauge", "kW")
    assert power.word_order == "low_first"


@pytest.mark.parametrize(
    ("text", "addressing", "address", "table"),
    [
        ("0x0048", None, 72, "holding"),
        ("48H", None, 72, "holding"),
        ("72", "zero-based", 72, "holding"),
        ("72.0", "zero-based", 72, "holding"),
        ("40072", "zero-based", 40072, "holding"),
        ("73", "one-based", 72, "holding"),
        ("0x0049", "one-based", 72, "holding"),
        ("40073", "modicon", 72, "holding"),
        ("30073", "modicon", 72, "input"),
        ("400073", None, 72, "holding"),
        ("365536", None, 65535, "input"),
    ],
)
def test_addressing(text: str, addressing: str | None, address: int, table: str) -> None:
    choices = CHOICES._replace(addressing=addressing)  # type: ignore[arg-type]
    (point,) = profile(row(address=text, table="", type="UINT", words="", order=""), choices=choices).points
    assert (point.address, point.table) == (address, table)


@pytest.mark.parametrize(
    ("cells", "column", "value", "part"),
    [
        ({"address": "72"}, "Address", "72", "state --addressing zero-based, one-based or modicon"),
        ({"address": "40073"}, "Address", "40073", "state --addressing"),
        ({"address": "100001"}, "Address", "100001", "bits, which are not read"),
        ({"address": "0x1FFFF"}, "Address", "0x1FFFF", "is no register number"),
        ({"address": "5-8"}, "Address", "5-8", "one a row"),
        ({"address": ""}, "Address", "", "is no register number"),
        ({"name": ""}, "Tag", "", "every point needs a name"),
        ({"name": "有効電力"}, "Tag", "有効電力", "--rename '有効電力=…'"),
        ({"type": "UDINTT"}, "Type", "UDINTT", "did you mean udint"),
        ({"type": "BOOL"}, "Type", "BOOL", "only registers are read"),
        ({"type": "xyz"}, "Type", "xyz", "known are u16"),
        ({"type": "BCD"}, "Type", "BCD", "did you mean bcd"),
        ({"unit": "kwh"}, "Unit", "kwh", "did you mean kWh?"),
        ({"unit": ""}, "Unit", "", "a counter needs the unit"),
        ({"gain": "0.025"}, "Gain", "0.025", "is no exact power of ten"),
        ({"gain": "0"}, "Gain", "0", "is no exact power of ten"),
        ({"gain": "-0.1"}, "Gain", "-0.1", "is no exact power of ten"),
        ({"gain": "NaN"}, "Gain", "NaN", "is no exact power of ten"),
        ({"gain": "1e30"}, "Gain", "1e30", "allowed are 10^-18 to 10^18"),
        ({"table": "coil"}, "Function", "coil", "allowed are holding (function 3) and input (function 4)"),
        ({"address": "300001"}, "Function", "03", "the address says input"),
        ({"order": ""}, "Word order", "", "say ABCD, CDAB, BADC or DCBA"),
        ({"order": "little endian"}, "Word order", "little endian", "is no word order"),
        ({"words": "2"}, "Words", "2", "does not fit type u64, which takes 4"),
        ({"counter": "maybe"}, "Counter", "maybe", "allowed are yes and no"),
    ],
)
def test_a_cell_that_is_refused(cells: dict[str, str], column: str, value: str, part: str) -> None:
    done = imported(["other", "0x0000", "UINT", "V", "", "", "", "", "", ""], row(**cells))
    assert done.profile is None
    (sentence,) = done.refused
    assert sentence.startswith(f"sheet 'points' row 3, column {column!r}: {value!r} ")
    assert part in sentence


def test_bad_input_07_overlapping_registers_name_both_rows() -> None:
    done = imported(ENERGY, row(name="other", address="0x5002"))
    (sentence,) = done.refused
    assert "row 3, column 'Address': '0x5002' is holding register 20482 on the wire" in sentence
    assert "energy_import of row 2 takes too (from 20480, 4 registers)" in sentence


def test_duplicate_names_name_both_rows() -> None:
    (sentence,) = imported(ENERGY, row(name="Energy Import", address="0x6000")).refused
    assert "is the name energy_import of row 2 too; rename one" in sentence


def test_all_refusals_at_once() -> None:
    done = imported(row(gain="3", unit="kwh"), row(name="b", address="x"), row(name="c", order=""))
    assert [sentence.split(":")[0] for sentence in done.refused] == [
        "sheet 'points' row 2, column 'Unit'",
        "sheet 'points' row 2, column 'Gain'",
        "sheet 'points' row 3, column 'Address'",
        "sheet 'points' row 4, column 'Word order'",
    ]


def test_an_offset_that_would_be_lost_is_refused() -> None:
    head = ["Name", "Address", "Type", "Offset"]
    (sentence,) = imported(["t", "0x0000", "INT", "-40"], head=head).refused
    assert "column 'Offset': '-40' is added to the value" in sentence
    assert profile(["t", "0x0000", "INT", "0"], head=head).points[0].name == "t"


def test_counters_are_stated_and_never_guessed() -> None:
    head = ["Name", "Address", "Type", "Unit"]
    list_ = [["Total energy", "0x0000", "UINT", "kWh"], ["b", "0x0001", "UINT", "kWh"]]
    assert [point.kind for point in profile(*list_, head=head).points] == ["gauge", "gauge"]
    stated = profile(*list_, head=head, choices=CHOICES._replace(counters=("Total energy", "b")))
    assert [point.kind for point in stated.points] == ["counter", "counter"]
    (sentence,) = imported(*list_, head=head, choices=CHOICES._replace(counters=("totl",))).refused
    assert sentence == "--counter 'totl' is the name of no row; write it as the list does"


@pytest.mark.parametrize(
    ("gain", "exponent"),
    [
        ("", 0),
        ("1", 0),
        ("0.1", -1),
        ("1/100", -2),
        ("10^-3", -3),
        ("x10", 1),
        ("×0.01", -2),
        ("1e-2", -2),
        ("0.10", -1),
    ],
)
def test_gains(gain: str, exponent: int) -> None:
    assert profile(row(gain=gain)).points[0].exponent == exponent


def test_a_divisor_divides() -> None:
    assert profile(["a", "0x0000", "UINT", "100"], head=["Name", "Address", "Type", "Divisor"]).points[0].exponent == -2


def test_a_title_above_the_header_is_no_header() -> None:
    sheet = Sheet("s", [["Modbus map of the meter"], [], HEAD, ENERGY], [])
    assert import_points([sheet], CHOICES).profile is not None


def test_unknown_columns_are_told() -> None:
    assert imported([*ENERGY, "x"], head=[*HEAD, "Alarm limit"]).ignored == ["Alarm limit"]


@pytest.mark.parametrize(
    ("sheets", "wanted", "part"),
    [
        ([Sheet("a", [], [])], "", "has the headers name, address and type"),
        ([Sheet("a", [HEAD, ENERGY], []), Sheet("b", [HEAD, ENERGY], [])], "", "say which with --sheet"),
        ([Sheet("a", [HEAD, ENERGY], [])], "c", "there is no sheet 'c'; there are 'a'"),
        ([Sheet("a", [HEAD], [])], "", "has no row below its header"),
    ],
)
def test_which_sheet(sheets: list[Sheet], wanted: str, part: str) -> None:
    assert part in import_points(sheets, CHOICES, wanted).refused[0]


# files


def command(path: Path, *more: str) -> list[str]:
    return ["edge", "import-points", str(path), "--id", "m", "--maker", "a", "--model", "b", *more]


def workbook(path: Path, change: Callable[[Workbook], None] = lambda _: None) -> Path:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(HEAD)
    sheet.append(["energy_import", "0x5000", "UINT64", "kWh", 0.01, 3, "ABCD", 4, True, "total"])
    change(book)
    book.save(path)
    return path


def test_a_workbook_becomes_a_profile_that_reads_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "m.toml"
    assert main(command(workbook(tmp_path / "list.xlsx"), "--out", str(out))) == 0
    assert '[[meter]]\nid = "m"' in capsys.readouterr().out
    found = library.profile("m.toml", tmp_path)
    assert [(point.name, point.exponent, point.kind) for point in found.points] == [("energy_import", -2, "counter")]
    assert found.proof == "constructed"
    assert main(command(tmp_path / "list.xlsx", "--out", str(out))) == 6


def test_json_and_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(workbook(tmp_path / "list.xlsx"), "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["refused"], told["points"], told["written"]) == ([], 1, "")
    assert library.read(told["profile_toml"], "x").id == "m"


def test_nothing_is_written_unless_all_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def spoil(book: Workbook) -> None:
        assert book.active is not None
        book.active.append(["b", "0x6000", "UINT", "kwh", 3])

    assert main(command(workbook(tmp_path / "list.xlsx", spoil), "--out", str(tmp_path / "m.toml"))) == 3
    assert capsys.readouterr().out.count("refused: ") == 2
    assert not (tmp_path / "m.toml").exists()


def test_a_formula_without_a_value_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def formula(book: Workbook) -> None:
        assert book.active is not None
        book.active["E2"] = "=1/100"

    assert main(command(workbook(tmp_path / "list.xlsx", formula))) == 3
    assert "cell E2: '=1/100' is a formula without a stored value" in capsys.readouterr().out


def test_merged_cells_are_named_but_a_title_may_be_wide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def merge(book: Workbook) -> None:
        assert book.active is not None
        book.active.append(["b", "0x6000", "UINT", "V"])
        book.active.merge_cells("D2:D3")

    def title(book: Workbook) -> None:
        assert book.active is not None
        book.active.insert_rows(1)
        book.active["A1"] = "Points"
        book.active.merge_cells("A1:D1")

    assert main(command(workbook(tmp_path / "list.xlsx", merge))) == 3
    assert "cells D2:D3 are merged" in capsys.readouterr().out
    assert main(command(workbook(tmp_path / "title.xlsx", title))) == 0


CSV = ",".join(HEAD) + "\n" + ",".join(ENERGY) + "\n"


@pytest.mark.parametrize(
    ("content", "more"),
    [
        (CSV.encode(), ()),
        (CSV.encode("utf-8-sig"), ()),
        (CSV.replace(",", ";").encode(), ()),
        (CSV.replace(",", "\t").encode(), ()),
        (CSV.replace("Tag", "タグ").encode("cp932"), ("--encoding", "cp932")),
        (CSV.replace("\n", "\r\n").encode(), ()),
    ],
)
def test_csv_as_it_comes(tmp_path: Path, content: bytes, more: tuple[str, ...]) -> None:
    (tmp_path / "list.csv").write_bytes(content)
    assert main(command(tmp_path / "list.csv", *more)) == 0


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.xlsx", b"", "the file is empty"),
        ("a.csv", b"\0" * 100, "is binary, not text"),
        ("a.csv", "タグ".encode("cp932"), "--encoding cp932"),
        ("a.xlsx", b"\x00\x01\x02" * 50, "is no .xlsx workbook that can be read (BadZipFile)"),
        ("a.xlsx", b"PK\x03\x04" + b"\0" * 100, "is no .xlsx workbook that can be read"),
        ("a.csv", b'"a\nb', "mend its quotes"),
        ("a.ods", b"x", "is neither .xlsx nor .csv"),
        ("a.csv", b"a,b\n" * 6000, "limits 5000 and 200"),
    ],
)
def test_bad_input_01_files_that_are_no_point_list(
    tmp_path: Path, name: str, content: bytes, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    assert main(command(tmp_path / name)) == 3
    said = capsys.readouterr().err
    assert part in said
    assert said.count("\n") == 1


def test_bad_input_01_a_point_list_of_100_mb(tmp_path: Path) -> None:
    for name in ("big.csv", "big.xlsx"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(100 * 1024 * 1024)
        with pytest.raises(PointsUnusable, match=f"larger than {MAX_FILE_BYTES} bytes"):
            read(tmp_path / name)


def test_a_workbook_that_unpacks_to_too_much(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(3):
            archive.writestr(f"{k}.xml", b"\0" * (50 * 1024 * 1024))
    with pytest.raises(PointsUnusable, match="unpacks to 157286400 bytes"):
        read(tmp_path / "bomb.xlsx")


def test_a_whole_other_zip_is_no_workbook(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("hello.txt", b"x")
    with pytest.raises(PointsUnusable, match=r"is no \.xlsx workbook"):
        read(tmp_path / "a.xlsx")


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (("--id", "Bad Id"), "--id 'Bad Id' must be"),
        (("--maker", " "), "--maker ' ' must be"),
        (("--rename", "x"), "is not OLD=NEW"),
        (("--out", "x.txt"), "does not end with .toml"),
        (("--encoding", "klingon"), "--encoding 'klingon' is not known"),
    ],
)
def test_what_is_stated_wrongly(
    tmp_path: Path, more: tuple[str, ...], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.csv").write_text(CSV)
    assert main([*command(tmp_path / "list.csv"), *more]) == 3
    assert part in capsys.readouterr().err


def test_a_rename_makes_a_name(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(CSV.replace("energy_import", "有効電力量"))
    out = tmp_path / "m.toml"
    assert main(command(tmp_path / "list.csv", "--rename", "有効電力量=energy_import", "--out", str(out))) == 0
    assert [point.name for point in library.profile("m.toml", tmp_path).points] == ["energy_import"]


JAPANESE_HEAD = ["名称", "レジスタ番号", "データ型", "単位", "倍率", "ワード順"]
JAPANESE = ["有効電力量(受電)", "420481", "UINT64", "kWh", "0.01", "ABCD"]


def test_an_identifier_beside_a_japanese_name_names_the_point() -> None:
    for title, identifier in (("識別子", "energy_import"), ("ID", "energy_import"), ("コード", "energy_import")):
        (point,) = profile([*JAPANESE, identifier], head=[*JAPANESE_HEAD, title]).points
        assert (point.name, point.address) == ("energy_import", 20480)
        assert point.manual.startswith("有効電力量(受電)")


def test_an_identifier_alone_is_the_name_and_a_mere_number_names_nothing() -> None:
    (alone,) = profile(ENERGY, head=["ID", *HEAD[1:]]).points
    (numbered,) = profile([*ENERGY, "1"], head=[*HEAD, "ID"]).points
    assert alone.name == numbered.name == "energy_import"


def test_a_name_that_gives_no_identifier_is_refused_with_the_ways_out() -> None:
    (refused,) = imported(JAPANESE, head=JAPANESE_HEAD).refused
    assert "in a column ID (識別子), in a file of two columns with --names FILE.csv" in refused


@pytest.mark.parametrize("head", ["", "名称,識別子\n"])
def test_a_file_names_the_points(tmp_path: Path, capsys: pytest.CaptureFixture[str], head: str) -> None:
    (tmp_path / "a.csv").write_text(f"{','.join(JAPANESE_HEAD)}\n{','.join(JAPANESE)}\n")
    (tmp_path / "names.csv").write_text(f"{head}有効電力量(受電),energy_import\n電圧,voltage_l1\n")
    assert main([*command(tmp_path / "a.csv"), "--names", str(tmp_path / "names.csv")]) == 0
    assert 'name = "energy_import"' in capsys.readouterr().out


@pytest.mark.parametrize("content", ["a\n", "a,\n", "a,b\na,c\n"])
def test_a_file_of_names_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    (tmp_path / "a.csv").write_text(f"{','.join(HEAD)}\n{','.join(ENERGY)}\n")
    (tmp_path / "names.csv").write_text(content)
    assert main([*command(tmp_path / "a.csv"), "--names", str(tmp_path / "names.csv")]) == 3
    assert "is not a name and its identifier, each name once" in capsys.readouterr().err


def test_a_header_that_lacks_a_column_is_named_with_what_it_has_and_what_is_accepted() -> None:
    (refused,) = imported(ENERGY, head=["Tag", "Where", *HEAD[2:]]).refused
    assert "nearest is row 1 of 'points': it has name ('Tag'), type ('Type')" in refused
    assert "lacks address; not known are 'Where'; accepted are: for address: address, register," in refused
    assert "レジスタ番号" in refused
    (nothing,) = imported(["1", "2"], head=["a", "b"]).refused
    assert "accepted are: for name: name, tag," in nothing


@pytest.mark.parametrize("spare", ["予備", "Spare", "reserved"])
def test_spare_rows_are_skipped_and_said(spare: str) -> None:
    done = imported(ENERGY, [spare, *[""] * 9], [spare, "0x6000", *[""] * 8])
    assert done.refused == []
    assert done.skipped == [f"sheet 'points' row 3: {spare!r}", f"sheet 'points' row 4: {spare!r}"]
    assert imported(ENERGY, row(name=spare, address="0x6000")).skipped == []


@pytest.mark.parametrize(
    ("text", "unit"), [("Volts", "V"), ("amps", "A"), ("kw·h", "kWh"), ("℃", "°C"), ("m³", "m3"), ("Percent", "%")]
)
def test_units_that_can_mean_nothing_else(text: str, unit: str) -> None:
    assert profile(row(unit=text)).points[0].unit == unit


def test_an_unknown_unit_is_one_readable_sentence() -> None:
    (refused,) = imported(row(unit="furlong")).refused
    assert "'furlong' is no unit that hakari knows: " in refused
    assert refused.endswith("here none fits, empty the cell")
