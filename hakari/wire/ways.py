"""The quick way from a meter's blocks to wide rows: prepared once for each meter of a configuration.

Guaranteed: only samples of which every reading is plainly good go this way (`hakari.registers.plain`), and they give
the rows that the full way gives.
"""

from __future__ import annotations

from hakari.errors import DataProblem
from hakari.quality import Quality
from hakari.registers.decode import decoder_of
from hakari.registers.plain import Form, Plain, plain_of
from hakari.wire.configuration import Meter
from hakari.wire.leaf import Block
from hakari.wire.wide import RowsRefused, Shape

PROTOCOL = "modbus"
MAX_WAYS = 4096
MAX_REQUESTS = 256
MAX_SHAPES = 256


class Way:
    """A meter prepared for the quick way: what each of its requests asks, and the shapes of what came."""

    def __init__(self, edge_id: str, meter: Meter, names: frozenset[str] | None) -> None:
        self.meter = meter
        self._edge_id = edge_id
        self._decoder = decoder_of(meter.profile, names)
        self._plains: dict[tuple[str, str], Plain | None] = {}
        self._shapes: dict[tuple[int, ...], tuple[tuple[Form, ...], Shape | None]] = {}

    def plain(self, protocol: str, request: str) -> Plain | None:
        """How to take the answers to `request`, None where they go the full way."""
        key = (protocol, request)
        if key not in self._plains:
            if len(self._plains) >= MAX_REQUESTS:
                self._plains.clear()
            self._plains[key] = self._plain(protocol, request)
        return self._plains[key]

    def _plain(self, protocol: str, request: str) -> Plain | None:
        try:
            block = Block(meter="", protocol=protocol, request=request, wall_ms=0, round_trip_us=0)
            return plain_of(self._decoder.window(exchange(block, self.meter.unit)[0]))
        except DataProblem:
            return None

    def shape(self, forms: tuple[Form, ...]) -> Shape | None:
        """The shape of a sample whose answers have `forms`; None where a point is there twice or identity lacks."""
        key = tuple(map(id, forms))
        known = self._shapes.get(key)
        if known is None:
            if len(self._shapes) >= MAX_SHAPES:
                self._shapes.clear()
            # The forms are kept beside the shape, so that their ids stay their own.
            known = self._shapes[key] = (forms, self._shape(forms))
        return known[1]

    def _shape(self, forms: tuple[Form, ...]) -> Shape | None:
        names = [name for form in forms for name in form.names]
        proven = frozenset[str]().union(*(form.identities for form in forms))
        if len(set(names)) != len(names) or not self._decoder.identity_names <= proven:
            return None
        doubts = [self.meter.doubt(name) for name in names]
        return Shape(
            self._edge_id,
            self.meter.id,
            names,
            [type_ for form in forms for type_ in form.types],
            [exponent for form in forms for exponent in form.exponents],
            [int(Quality.UNCERTAIN if doubt else Quality.GOOD) for doubt in doubts],
            doubts,
        )


_ways: dict[tuple[str, int, frozenset[str] | None], Way] = {}


def way_of(edge_id: str, meter: Meter, names: frozenset[str] | None) -> Way:
    """The way of this very meter object, made once; it keeps the object, so that its id stays its own."""
    key = (edge_id, id(meter), names)
    way = _ways.get(key)
    if way is None:
        if len(_ways) >= MAX_WAYS:
            _ways.clear()
        way = _ways[key] = Way(edge_id, meter, names)
    return way


def answer_of(block: Block) -> bytes:
    """The answer in a block, empty where there is none or it is no hexadecimal."""
    try:
        return bytes.fromhex(block.answer)
    except ValueError:
        return b""


def exchange(block: Block, unit: int) -> tuple[bytes, bytes | None, str]:
    """A block as decoding takes it; RowsRefused for another protocol or unit, or text that is not hexadecimal."""
    if block.protocol.split("-")[0] != PROTOCOL:
        raise RowsRefused(f"protocol {block.protocol!r} is not known, known is {PROTOCOL}")
    try:
        answer = bytes.fromhex(block.answer) if block.answer else None
        request = bytes.fromhex(block.request)
    except ValueError as error:
        raise RowsRefused(f"request or answer of a block is not hexadecimal: {error}") from error
    if request[:1] != bytes([unit]):
        raise RowsRefused(f"request {block.request!r} does not ask unit {unit}, where the configuration has the meter")
    return request, answer, block.error
