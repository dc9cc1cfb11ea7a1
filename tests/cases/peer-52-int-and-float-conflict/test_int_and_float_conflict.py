from __future__ import annotations

import secrets
from contextlib import closing
from pathlib import Path

from hakari.registers.reading import WIDTH_BITS
from hakari.store.line_reader import Point, read_lines
from hakari.store.lines import Serializer
from hakari.store.view_influx import InfluxReadingsView
from hakari.wire.rows import Row
from tests.system.influx import TOKEN, InfluxServer

EDGE = "sola-e1"
POINT = "sola-e1/meter/energy"
ONE = {"f32": 0x3F800000, "f64": 0x3FF0000000000000}


def rows() -> list[Row]:
    """The same point under every type, whole and with decimals, GOOD and UNCERTAIN."""
    made = [
        Row(POINT, 0, type_, ONE.get(type_, 1), exponent, quality, "late" * quality, 1, 0, "boot", 0)
        for type_ in sorted(WIDTH_BITS)
        for exponent in (0, -3, 2)
        for quality in (0, 1)
    ]
    return [row._replace(leaf=k, t_ms=1000 * k, mono_ms=k) for k, row in enumerate(made)]


def test_a_field_has_one_type_whatever_its_register_has() -> None:
    kinds: dict[str, set[str]] = {}
    for line in Serializer().readings(rows()).lines:
        (found,) = read_lines(line.encode())
        assert isinstance(found, Point)
        for name, value in found.fields.items():
            kinds.setdefault(name, set()).add(type(value).__name__)
    assert all(len(kind) == 1 for kind in kinds.values()), kinds
    assert kinds["energy.raw"] == {"int"}
    assert kinds["energy.value"] == kinds["energy.uncertain"] == {"FloatText"}


def test_the_server_takes_all_of_them(influxd: InfluxServer, tmp_path: Path) -> None:
    bucket = f"types-{secrets.token_hex(8)}"
    influxd.make_bucket(bucket)
    with closing(InfluxReadingsView(influxd.settings(bucket, tmp_path), TOKEN)) as view:
        view.write(EDGE, 1, len(rows()), rows(), [])
        assert list(view.read(POINT, 0, 10**9)) == rows()
        assert view.refused() == []
    influxd.delete_bucket(bucket)
