from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.wire.structured import MAX_CHARS, read_dictionary, read_item

ANY_TEXT = st.text(st.characters(codec=None))
NEARLY_FIELDS = st.text(
    st.sampled_from([*'?01:;=,"\\%@-.()* \tabcAZ/9+', "\xff", "\ud800", "☃"]), max_size=30
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("?1", True),
        ("?0", False),
        (" ?1 ", True),
        ("?1;a;b=2", True),
        ("42", 42),
        ("042", 42),
        ("-7", -7),
        ("999999999999999", 999999999999999),
        (":aGk=:", b"hi"),
        (":aGk:", b"hi"),
        ('"a\\"b"', 'a"b'),
        ("", None),
        ("?2", None),
        ("1000000000000000", None),
        ("1_000", None),
        ("+5", None),
        ("1 2", None),
        ("1, 2", None),
        ("?1;A", None),
        ("(1 2)", None),
        ("\ud800", None),
        ("@9999999999999999999", None),
    ],
)
def test_an_item_gives_its_value_and_anything_else_none(text: str, value: object) -> None:
    assert read_item(text) == value


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("", {}),
        ("a=1, b=:aGk=:;q=1, c", {"a": 1, "b": b"hi", "c": True}),
        ("a=1,a=2", {"a": 2}),
        ("a=1,", None),
        ("A=1", None),
        ("a=:not base64:", None),
        ("?1", None),
    ],
)
def test_a_dictionary_gives_its_members_and_anything_else_none(
    text: str, members: dict[str, object] | None
) -> None:
    assert read_dictionary(text) == members


def test_an_inner_list_is_no_plain_member() -> None:
    members = read_dictionary("a=(1 2)")

    assert members is not None
    assert isinstance(members["a"], list)


@given(ANY_TEXT | NEARLY_FIELDS)
def test_no_text_makes_it_raise(text: str) -> None:
    read_item(text)
    members = read_dictionary(text)
    assert members is None or all(isinstance(key, str) for key in members)


@pytest.mark.parametrize("piece", ["a;", "a=(1 2),", '"\\\\', "a,", "((", ";;", ":", "%", "1"])
def test_long_fields_take_time_in_step_with_their_length(piece: str) -> None:
    text = (piece * MAX_CHARS)[:MAX_CHARS]
    begun = process_time()
    read_item(text)
    read_dictionary(text)
    assert process_time() - begun < 0.5


def test_what_is_longer_than_any_honest_field_is_not_looked_at() -> None:
    padded = "1".rjust(MAX_CHARS)

    assert read_item(padded) == 1
    assert read_item(" " + padded) is None
    assert read_dictionary("a=1".rjust(MAX_CHARS + 1)) is None
