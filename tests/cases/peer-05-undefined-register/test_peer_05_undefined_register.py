"""No request reaches over a register that the profile does not know, so that nothing can be spoilt by it."""

from __future__ import annotations

from hakari.registers.requests import ReadRequest
from tests.unit.edge_lines import Device, Plant, counter, gauge, profile_of

UNDEFINED = 2


class Spoilt(Device):
    """After a read over its undefined register, every further answer is of other registers."""

    shifted = 0

    def answer(self, request: ReadRequest) -> bytes | None:
        """The registers' own addresses as their words."""
        words = range(request.address + self.shifted, request.address + self.shifted + request.count)
        self.shifted += UNDEFINED in range(request.address, request.address + request.count)
        return bytes((request.function, 2 * request.count)) + b"".join(word.to_bytes(2, "big") for word in words)


def test_a_gap_of_one_register_is_not_read() -> None:
    plant = Plant({1: Spoilt()}, profile_of([counter(0), gauge(3), counter(4)]))
    for _ in range(3):
        for block in plant.slot().blocks:
            assert int(block.answer[4:8], 16) == int(block.request[4:8], 16)
    assert {(address, count) for _, address, count in plant.line.taken()} == {(0, 2), (3, 3)}
