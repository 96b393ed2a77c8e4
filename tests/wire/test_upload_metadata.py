from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import InvalidRequest
from media_service.wire.upload_metadata import (
    MAX_CONCAT_CHARS,
    MAX_METADATA_CHARS,
    MAX_PARTS,
    metadata_of,
    read_concat,
    read_metadata,
    visibility_of,
)

KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","), min_size=1)
NEARLY_LISTS = st.text(st.sampled_from([*"final;partial/api/v1/uploads abc ,=?#\t", "ä", "\ud800"]))


@pytest.mark.parametrize(
    ("value", "pairs"),
    [
        ("", {}),
        ("  ", {}),
        ("filename ZmlsbS5tcDQ=", {"filename": b"film.mp4"}),
        ("filename ZmlsbS5tcDQ=,is_confidential", {"filename": b"film.mp4", "is_confidential": b""}),
        ("a YQ==, b Yg==", {"a": b"a", "b": b"b"}),
        ("a ,b", {"a": b"", "b": b""}),
        ("x /+8=", {"x": b"\xff\xef"}),
        ("A YQ==,a YQ==", {"A": b"a", "a": b"a"}),
        ("null bnVsbA==", {"null": b"null"}),
    ],
)
def test_pairs_are_keys_and_decoded_values(value: str, pairs: dict[str, bytes]) -> None:
    assert read_metadata(value) == pairs


@pytest.mark.parametrize(
    "value",
    [
        ",",
        "a YQ==,",
        ",a YQ==",
        "a YQ==,,b Yg==",
        "a YQ==,a Yg==",
        "a YQ",
        "a YQ=",
        "a YQ===",
        "a !!!notbase64",
        "a YQ== YQ==",
        "a  YQ==",
        "a _-8=",
        "a YQ==\r\nX",
        "ä YQ==",
        "a\tYQ==",
        "a ☃",
        "filename Y" + "W" * 8192,
    ],
)
def test_a_value_of_another_form_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequest, match="Upload-Metadata"):
        read_metadata(value)


def test_metadata_is_bounded() -> None:
    longest = "a " + "A" * (MAX_METADATA_CHARS - 4)

    assert len(read_metadata(longest + "==")["a"]) > 6000
    with pytest.raises(InvalidRequest, match="8192"):
        read_metadata(longest + "A==")


@given(st.dictionaries(KEYS, st.binary(max_size=50), min_size=1, max_size=5))
def test_what_clients_write_reads_the_same(pairs: dict[str, bytes]) -> None:
    value = ",".join(f"{key} {base64.b64encode(data).decode()}".strip() for key, data in pairs.items())

    assert read_metadata(value) == pairs


@pytest.mark.parametrize("visibility", ["public", "signed", None])
def test_an_upload_remembers_who_may_play_it(visibility: str | None) -> None:
    assert visibility_of(metadata_of(visibility)) == visibility
    assert visibility_of("filename ZmlsbS5tcDQ=") is None


@given(st.binary(max_size=10))
def test_what_is_no_visibility_is_none(value: bytes) -> None:
    said = visibility_of(f"visibility {base64.b64encode(value).decode()}".strip())
    assert said == (value.decode() if value in {b"public", b"signed"} else None)


@given(st.text(st.characters(codec=None)))
def test_any_text_is_pairs_or_refused_and_pairs_are_fit_for_a_header(value: str) -> None:
    try:
        read_metadata(value)
    except InvalidRequest:
        return
    assert value.isascii()
    assert value.isprintable()  # it is echoed as it came


@pytest.mark.parametrize(
    ("value", "concat"),
    [
        (None, ("", ())),
        ("partial", ("partial", ())),
        ("final;/api/v1/uploads/abc", ("final", ("abc",))),
        ("final;/api/v1/uploads/b /api/v1/uploads/a /api/v1/uploads/b", ("final", ("b", "a", "b"))),
        ("final; /api/v1/uploads/a  /api/v1/uploads/b ", ("final", ("a", "b"))),
        ("final;https://media.example/api/v1/uploads/abc", ("final", ("abc",))),
        ("final;http://[::1]:8000/prefix/api/v1/uploads/abc?x=1#y", ("final", ("abc",))),
        ("final;//media.example/api/v1/uploads/abc", ("final", ("abc",))),
        ("final;uploads/abc", ("final", ("abc",))),
    ],
)
def test_a_final_upload_names_its_parts_by_their_addresses(
    value: str | None, concat: tuple[str, tuple[str, ...]]
) -> None:
    assert read_concat(value) == concat


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Partial",
        "partial;",
        "partial, partial",
        "final",
        "final;",
        "final; ",
        "final /api/v1/uploads/abc",
        "final;/api/v1/uploads/",
        "final;/api/v1/uploads",
        "final;/api/v1/assets/abc",
        "final;/api/v1/uploads/../assets/abc",
        "final;/api/v1/uploads/abc/x",
        "final;/api/v1/uploads/%61",
        "final;/api/v1/uploads/ABC",
        "final;/api/v1/uploads/" + "a" * 65,
        "final;abc",
        "final;ä/api/v1/uploads/abc",
        "final;a\tb/api/v1/uploads/abc",
        "final;/api/v1/uploads/a,/api/v1/uploads/b\x00",
    ],
)
def test_a_list_of_anything_else_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequest, match="Upload-Concat"):
        read_concat(value)


def test_the_number_of_parts_and_the_length_of_the_list_are_bounded() -> None:
    assert len(read_concat("final;" + " ".join(["uploads/a"] * MAX_PARTS))[1]) == MAX_PARTS
    with pytest.raises(InvalidRequest, match="1001"):
        read_concat("final;" + " ".join(["uploads/a"] * (MAX_PARTS + 1)))
    address = "/api/v1/uploads/a"
    longest = "final;" + "/" * (MAX_CONCAT_CHARS - len("final;" + address)) + address
    assert read_concat(longest) == ("final", ("a",))
    with pytest.raises(InvalidRequest):
        read_concat(longest.replace("final;", "final;/"))


@given(st.text(st.characters(codec=None)) | NEARLY_LISTS)
def test_any_text_is_a_list_or_refused_and_a_list_is_fit_for_a_header(value: str) -> None:
    try:
        read_concat(value)
    except InvalidRequest:
        return
    assert value.isascii()
    assert value.isprintable()  # it is echoed as it came
