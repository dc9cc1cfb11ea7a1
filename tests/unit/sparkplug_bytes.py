"""An independent Sparkplug B writer: protobuf's wire bytes by hand, from the specification's field numbers."""

from __future__ import annotations

import struct

INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, FLOAT, DOUBLE, BOOLEAN, STRING = range(1, 13)


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def count(field: int, number: int | None) -> bytes:
    return b"" if number is None else varint(field << 3) + varint(number)


def chunk(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def value(datatype: int, given: object) -> bytes:
    if given is None:
        return count(7, 1)
    if datatype == FLOAT:
        return varint(12 << 3 | 5) + struct.pack("<f", given)
    if datatype == DOUBLE:
        return varint(13 << 3 | 1) + struct.pack("<d", given)
    if datatype == STRING:
        return chunk(15, str(given).encode())
    assert isinstance(given, int)
    if datatype == BOOLEAN:
        return count(14, int(given))
    wide = datatype in (INT64, UINT64)
    return count(11 if wide else 10, given % (2**64 if wide else 2**32))


def metric(
    name: str = "",
    given: object = None,
    datatype: int = INT64,
    *,
    alias: int | None = None,
    t_ms: int | None = 1_700_000_000_000,
    birth: bool = True,
    historical: bool = False,
    transient: bool = False,
) -> bytes:
    """One metric; in a birth with its datatype, in data without."""
    return (
        (chunk(1, name.encode()) if name else b"")
        + count(2, alias)
        + count(3, t_ms)
        + (count(4, datatype) if birth else b"")
        + (count(5, 1) if historical else b"")
        + (count(6, 1) if transient else b"")
        + value(datatype, given)
    )


def payload(seq: int | None, *metrics: bytes, t_ms: int | None = 1_700_000_000_000) -> bytes:
    return count(1, t_ms) + b"".join(chunk(2, one) for one in metrics) + count(3, seq)


def bd_seq(number: int) -> bytes:
    return metric("bdSeq", number, INT64)
