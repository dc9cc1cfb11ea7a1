"""A room's sign of life: fresh, stale, troubled, absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from hakari.alive import EVERY_S, Alive, NotAlive, check


class Hands:
    """A clock whose hands the test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_loop_that_goes_round_is_alive(tmp_path: Path) -> None:
    clock, path = Hands(), tmp_path / "alive"
    alive = Alive(path, clock)
    alive.beat()
    clock.now_s += EVERY_S + 1
    alive.beat()
    assert check(path, 30, clock.now_s + 7).age_s == 7


def test_it_is_not_written_more_often_than_needed_but_at_once_when_it_says_something_new(tmp_path: Path) -> None:
    clock, path = Hands(), tmp_path / "alive"
    alive = Alive(path, clock)
    alive.beat()
    clock.now_s += EVERY_S - 1
    alive.beat()
    assert check(path, 30, clock.now_s).age_s == EVERY_S - 1
    alive.beat("the broker refuses us")
    with pytest.raises(NotAlive, match="runs, but the broker refuses us"):
        check(path, 30, clock.now_s)
    alive.beat()
    assert check(path, 30, clock.now_s).age_s == 0


def test_a_clock_that_was_set_back_does_not_stop_the_signs(tmp_path: Path) -> None:
    clock, path = Hands(), tmp_path / "alive"
    alive = Alive(path, clock)
    alive.beat()
    clock.now_s -= 3600
    alive.beat()
    assert check(path, 30, clock.now_s).age_s == 0


def test_a_loop_that_hangs_is_not_alive(tmp_path: Path) -> None:
    clock, path = Hands(), tmp_path / "alive"
    Alive(path, clock).beat()
    with pytest.raises(NotAlive, match="31 s old, limit 30 s"):
        check(path, 30, clock.now_s + 31)


def test_a_room_that_ended_leaves_no_sign(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    alive = Alive(path, Hands())
    alive.beat()
    alive.end()
    alive.end()
    with pytest.raises(NotAlive, match="no sign of life"):
        check(path, 30, 0.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"at_s": "x", "trouble": ""}', '{"at_s": 1'])
def test_a_damaged_sign_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "alive"
    path.write_text(content)
    with pytest.raises(NotAlive, match="cannot be read"):
        check(path, 30, 0.0)


def test_without_a_path_nothing_is_written(tmp_path: Path) -> None:
    alive = Alive(None, Hands())
    alive.beat()
    alive.end()
    assert list(tmp_path.iterdir()) == []
