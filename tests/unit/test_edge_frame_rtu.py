"""RTU frames: CRC against published values, lengths, and frames found again behind noise."""

from __future__ import annotations

import random

import pytest

from edge.modbus.frame_rtu import char_s, crc16, frame_of, gap_s, length_of, scan

# "123456789" is the check value of CRC-16/MODBUS in the catalogue of parametrised CRC algorithms; 02 07 is the worked
# example of MODBUS over Serial Line V1.02, 6.2.2; the others are requests and answers printed in makers' manuals.
PUBLISHED = {
    b"123456789".hex(): "374b",
    "0207": "4112",
    "010300000001": "840a",
    "010300000002": "c40b",
    "01040000000a": "700d",
    "0103020000": "b844",
    "110100130025": "0e84",
}
ANSWER = frame_of(bytes.fromhex("01 03 04 1234 5678"))
OTHER = frame_of(bytes.fromhex("02 04 02 0007"))


def _never(_: bytes) -> bool:
    return False


def _ours(beginning: bytes) -> bool:
    return b"\x01\x03\x04".startswith(beginning)


@pytest.mark.parametrize("body", PUBLISHED)
def test_crc_is_that_of_published_frames(body: str) -> None:
    assert crc16(bytes.fromhex(body)).hex() == PUBLISHED[body]


@pytest.mark.parametrize(
    ("beginning", "length"),
    [
        ("01 03 04", 9),
        ("01 04 fa", 255),
        ("01 03 fc", 0),
        ("01 83 02", 5),
        ("01 06 00", 8),
        ("01 63 00", 0),
        ("01 2b 0e", None),
        ("01 2b 0e 01 01 00 00 01", None),
        ("01 2b 0e 01 01 00 00 01 00 03", 15),
        ("01 03", None),
        ("", None),
    ],
)
def test_length_is_told_from_the_first_bytes(beginning: str, length: int | None) -> None:
    assert length_of(bytes.fromhex(beginning)) == length


@pytest.mark.parametrize("cut", range(len(ANSWER) + 1))
def test_every_byte_is_waited_for(cut: int) -> None:
    found = scan(ANSWER[:cut], _ours)
    assert [frame.body for frame in found.frames] == ([ANSWER[:-2]] if cut == len(ANSWER) else [])
    assert found.rest == (b"" if cut == len(ANSWER) else ANSWER[:cut])
    assert found.noise == 0


def test_joined_frames_are_told_apart() -> None:
    found = scan(OTHER + ANSWER + OTHER, _ours)
    assert [frame.body for frame in found.frames] == [OTHER[:-2], ANSWER[:-2], OTHER[:-2]]
    assert (found.frames[1].unit, found.frames[1].answer.hex()) == (1, "03041234" + "5678")


@pytest.mark.parametrize(
    "noise",
    [
        "00",
        "ff ff ff",
        "01 03 c8",  # the head of a long frame
        "01 2b 0e 01",
        "01 03 00 64 00 02 85 d4",  # our own request, heard again
        "01 03 04 12 34",  # an answer that broke off
        "02 83",
    ],
)
def test_frame_is_found_behind_noise(noise: str) -> None:
    found = scan(bytes.fromhex(noise) + ANSWER, _ours)
    assert [frame.body for frame in found.frames] == [ANSWER[:-2]]
    assert found.noise == len(bytes.fromhex(noise))


def test_every_flipped_bit_is_found() -> None:
    for at in range(len(ANSWER)):
        for bit in range(8):
            flipped = bytearray(ANSWER)
            flipped[at] ^= 1 << bit
            assert scan(bytes(flipped), _ours).frames == []


def test_head_that_nobody_awaits_holds_nothing_back_and_one_that_is_awaited_does() -> None:
    held = bytes.fromhex("01 03 c8") + ANSWER
    assert len(scan(held, _never).frames) == 1
    assert scan(held, lambda beginning: beginning.startswith(b"\x01\x03\xc8")).frames == []


def test_noise_without_end_is_kept_within_a_limit() -> None:
    rng, rest, noise = random.Random(1), b"", 0
    for _ in range(200):
        found = scan(rest + rng.randbytes(50), _ours)
        rest, noise = found.rest, noise + found.noise
        assert len(rest) <= 512
    assert noise + len(rest) == 10_000


@pytest.mark.parametrize(
    ("baud", "parity", "stop_bits", "gap_ms"),
    [(9600, "none", 1, 3.646), (9600, "even", 1, 4.010), (9600, "none", 2, 4.010), (1200, "even", 1, 32.083),
     (19200, "even", 1, 2.005), (38400, "even", 1, 1.75), (115200, "none", 1, 1.75)],
)  # fmt: skip
def test_gap_is_three_and_a_half_characters(baud: int, parity: str, stop_bits: int, gap_ms: float) -> None:
    assert round(gap_s(baud, parity, stop_bits) * 1000, 3) == gap_ms
    assert char_s(9600, "even", 1) == 11 / 9600
