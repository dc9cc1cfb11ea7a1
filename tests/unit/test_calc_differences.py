"""What differs between two results, by path: numbers, long texts, parts that only one side has, and how many."""

from __future__ import annotations

from calc.differences import MAX_SHOWN_CHARS, differences


def test_what_is_the_same_has_no_differences() -> None:
    assert differences("a", {"b": [1, "2"]}, {"b": [1, "2"]}) is None


def test_a_path_names_members_and_places() -> None:
    said, found = {"b": [{"c": "4.92"}, {"c": "x"}]}, {"b": [{"c": "5.33"}, {"c": None}]}
    assert differences("a", said, found) == 'a.b[0].c: stated 4.92, computed 5.33; a.b[1].c: stated "x", computed null'


def test_what_only_one_side_has_is_said() -> None:
    assert differences("a", [1, 2], [1]) == "a[1]: stated 2, computed nothing"
    assert differences("a", {}, {"b": 1}, "the pack gives") == "a.b: stated nothing, the pack gives 1"


def test_five_are_named_and_the_others_counted() -> None:
    found = differences("a", list(range(8)), list(range(1, 9)))
    assert found is not None
    assert found.endswith("a[4]: stated 4, computed 5; and 3 more")
    assert "a[5]" not in found
    assert "more" not in str(differences("a", list(range(5)), list(range(1, 6))))


def test_long_values_are_shown_from_where_they_differ() -> None:
    same = "s" * 500
    found = differences("a", f"{same}1{same}", f"{same}2{same}")
    assert found is not None
    assert ("s1s" in found, "s2s" in found) == (True, True)
    assert len(found) < 2 * MAX_SHOWN_CHARS + 60
