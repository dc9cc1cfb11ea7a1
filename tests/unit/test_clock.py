"""The machine's clock as the kernel tells it: never synchronised by guessing, one boot one name."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from hakari import clock
from hakari.clock import SYNCHRONISED, UNSYNCHRONISED, KernelTime, SystemClock, kernel_time, system_boot


class _Kernel:
    """A kernel that answers adjtimex with a status of its own."""

    def __init__(self, status: int, state: int, offset: int = 0) -> None:
        self._answer = (status, state, offset)

    def adjtimex(self, told: ctypes._CArgObject) -> int:
        status, state, offset = self._answer
        held = told._obj  # type: ignore[attr-defined]
        held.status, held.offset, held.maxerror = status, offset, 1500
        return state


def _answering(monkeypatch: pytest.MonkeyPatch, kernel: object) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: kernel)


@pytest.mark.parametrize(
    ("status", "state", "synchronised"),
    [(0x2001, 0, True), (0x2001, 5, False), (0x0040, 5, False), (0x2041, 0, False), (0, -1, False), (0x11, 1, True)],
)
def test_only_the_kernels_own_word_is_synchronised(
    monkeypatch: pytest.MonkeyPatch, status: int, state: int, *, synchronised: bool
) -> None:
    _answering(monkeypatch, _Kernel(status, state))
    assert kernel_time().synchronised is synchronised
    assert SystemClock().now().sync == (SYNCHRONISED if synchronised else UNSYNCHRONISED)


def test_offset_is_in_microseconds_whichever_unit_the_kernel_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    _answering(monkeypatch, _Kernel(0x2001, 0, 250_000))
    assert kernel_time() == KernelTime(synchronised=True, offset_us=250, max_error_us=1500)
    _answering(monkeypatch, _Kernel(0x0001, 0, 250))
    assert kernel_time().offset_us == 250


def test_a_kernel_that_cannot_be_asked_is_unsynchronised(monkeypatch: pytest.MonkeyPatch) -> None:
    _answering(monkeypatch, object())
    assert not kernel_time().synchronised
    assert SystemClock().now().sync == UNSYNCHRONISED


def test_a_boot_has_one_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert system_boot() == system_boot() == SystemClock().boot
    monkeypatch.setattr(clock, "BOOT_ID", tmp_path / "none")
    assert len(system_boot()) == 32
    assert system_boot() != system_boot()


def test_this_machine_can_be_asked() -> None:
    first, second = SystemClock().now(), SystemClock().now()
    assert first.mono_ms <= second.mono_ms
    assert first.sync in (SYNCHRONISED, UNSYNCHRONISED)
