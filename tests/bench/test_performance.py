"""docs/performance.md is filled from what was measured, and every table that it wants is one that is made."""

from __future__ import annotations

from typing import Any

from bench.__main__ import PACED
from bench.figures import Goal, Table, goals, table
from bench.pace import Pace, in_turns
from bench.performance import PAGE, PLACE, filled


def kept(*tables: Table) -> dict[str, Any]:
    shown = [{"key": one.key, "title": one.caption, "header": one.header, "rows": one.rows} for one in tables]
    return {"machine": "2 cores, load 0.1", "date": "2026-11-21", "seconds": 12, "tables": shown}


def test_a_table_stands_in_its_place_and_replaces_the_one_before() -> None:
    page = "Before\n\n<!-- startup: times -->\nan old table\n<!-- end -->\n\nBehind\n"
    made, missing = filled(page, {"startup": kept(table("Times", ("", "s"), [("ours", "1")], "times"))})
    assert made == (
        "Before\n\n<!-- startup: times -->\n\n|  | s |\n| --- | --: |\n| ours | 1 |\n\n<!-- end -->\n\nBehind\n"
    )
    assert not missing
    assert filled(made, {"startup": kept(table("Times", ("", "s"), [("ours", "1")], "times"))})[0] == made


def test_a_place_without_a_table_is_left_and_named() -> None:
    page = "<!-- startup: times -->\nan old table\n<!-- end -->\n"
    assert filled(page, {}) == (page, ["startup: times"])


def test_goals_of_all_measures_are_one_table() -> None:
    first = goals("First", [Goal("of nginx", 0.8, 0.81)])
    second = goals("Second", [Goal("MB", 80, 81, at_least=False)])
    made, missing = filled("<!-- goals -->\n<!-- end -->\n", {"a": kept(first), "b": kept(second)})
    assert not missing
    assert "| of nginx | >= 0.8 | 0.81 | yes |\n| MB | <= 80 | 81.00 | **no** |\n" in made


def test_what_the_page_wants_is_measured() -> None:
    names = [found["name"] for found in PLACE.finditer(PAGE.read_text())]
    assert {"goals", "machine"} < set(names)
    assert {name.partition(":")[0] for name in names} <= {"goals", "machine", *PACED}


def test_turns_begin_with_another_one_each_round() -> None:
    order: list[str] = []

    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

    found = in_turns([Named(name) for name in "abc"], Pace(rounds=3), lambda one: order.append(one.name))
    assert "".join(order) == "abcbcacab"
    assert {name: len(results) for name, results in found.items()} == {"a": 3, "b": 3, "c": 3}
