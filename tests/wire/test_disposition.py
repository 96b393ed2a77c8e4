from __future__ import annotations

import re
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import MalformedForm
from media_service.wire.disposition import (
    MAX_FILENAME_BYTES,
    clean_filename,
    content_disposition,
    ending_in,
    parse_disposition,
    parse_parameters,
)


@pytest.mark.parametrize(
    ("filename", "value"),
    [
        ("film.mp4", 'inline; filename="film.mp4"'),
        ("my film.mp4", 'inline; filename="my film.mp4"'),
        ("Füße.mp4", "inline; filename=\"F__e.mp4\"; filename*=UTF-8''F%C3%BC%C3%9Fe.mp4"),
        ('say "hi".mp4', "inline; filename=\"say _hi_.mp4\"; filename*=UTF-8''say%20%22hi%22.mp4"),
        ("100%.mp4", "inline; filename=\"100_.mp4\"; filename*=UTF-8''100%25.mp4"),
        ("../a\\b.mp4", 'inline; filename=".._a_b.mp4"'),
        ("a\r\nSet-Cookie: x=1", 'inline; filename="aSet-Cookie: x=1"'),
        ("\ud800", "inline"),
        ("  ", "inline"),
        ("", "inline"),
    ],
)
def test_a_name_becomes_one_ascii_line(filename: str, value: str) -> None:
    assert content_disposition("inline", filename) == value


@given(st.sampled_from(["inline", "attachment"]), st.text())
def test_no_name_can_inject_a_header_or_a_parameter(
    kind: Literal["inline", "attachment"], filename: str
) -> None:
    value = content_disposition(kind, filename)

    grammar = rf"{kind}(; filename=\"[ !#$&-\[\]-~]+\"(; filename\*=UTF-8''[!#$&+\-.^_`|~0-9A-Za-z%]+)?)?"
    assert re.fullmatch(grammar, value)


@pytest.mark.parametrize(
    ("filename", "kept_as"),
    [
        ("film.mp4", "film.mp4"),
        ("FILM.MP4", "FILM.MP4"),
        ("film.html", "film.mp4"),
        ("film.mp4.exe", "film.mp4.mp4"),
        ("film", "film.mp4"),
        (".htaccess", ".htaccess.mp4"),
        (".exe", ".exe.mp4"),
        ("At 12.30 with Mr. Smith", "At 12.30 with Mr. Smith.mp4"),
        ("film.", "film..mp4"),
        ("film.é", "film.é.mp4"),
    ],
)
def test_what_is_kept_ends_as_what_it_is(filename: str, kept_as: str) -> None:
    assert ending_in(filename, "mp4") == kept_as


@given(st.text())
def test_a_name_that_goes_out_and_comes_back_is_the_same_once_cleaned(filename: str) -> None:
    name = clean_filename(filename)

    assert parse_disposition(content_disposition("attachment", name)).filename == (name or None)


@pytest.mark.parametrize(
    ("value", "name", "filename"),
    [
        ('form-data; name="file"', "file", None),
        ("form-data; name=file; filename=film.mp4", "file", "film.mp4"),
        ('FORM-DATA;NAME="file" ; FileName="film.mp4"', "file", "film.mp4"),
        ('form-data; name="file"; filename=""', "file", ""),
        ('form-data; name="a;b=c"; filename="x;y=z.mp4"', "a;b=c", "x;y=z.mp4"),
        ('form-data; name="a%22b%0D%0A"', 'a"b\r\n', None),
        ('form-data; name="file"; filename="a%22b%41.mp4"', "file", 'a"b%41.mp4'),
        ('form-data; name="file"; filename="a\\"b\\\\c.mp4"', "file", "c.mp4"),
        ('form-data; name="file"; filename="C:\\dir\\film.mp4"', "file", "film.mp4"),
        ('form-data; name="file"; filename="../../etc/passwd"', "file", "passwd"),
        ("form-data; name=f; filename=a.mp4; filename*=UTF-8''%C3%BC.mp4", "f", "ü.mp4"),
        ("form-data; name=f; filename*=iso-8859-1'de'%FC.mp4; filename=a.mp4", "f", "ü.mp4"),
        ("form-data; name=f; filename=a.mp4; filename*=UTF-8''%FF.mp4", "f", "a.mp4"),
        ("form-data; name=f; filename=a.mp4; filename*=utf-7''x.mp4", "f", "a.mp4"),
        ("form-data; name=f; filename*=UTF-8''..%2F..%2Fa.mp4", "f", "a.mp4"),
        ("form-data; name=a; name=b", "a", None),
        ("form-data; name", None, None),
        ("", None, None),
    ],
)
def test_the_disposition_of_a_form_field(value: str, name: str | None, filename: str | None) -> None:
    found = parse_disposition(value)

    assert (found.name, found.filename) == (name, filename)


@pytest.mark.parametrize("value", ['form-data; name="', 'form-data; name="a\\"', 'form-data; x="\\'])
def test_a_quoted_text_without_an_end_is_malformed(value: str) -> None:
    with pytest.raises(MalformedForm):
        parse_disposition(value)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("film.mp4", "film.mp4"),
        (" film.mp4\t", "film.mp4"),
        ("a\x00b\x1f\x7f\x85.mp4", "ab.mp4"),
        ("evil\u202e4pm.exe", "evil4pm.exe"),
        ("👩\u200d💻.mp4", "👩\u200d💻.mp4"),
        ("..", ""),
        (" . ", ""),
        ("/", ""),
        ("\\\\server\\share\\film.mp4", "film.mp4"),
        (".hidden", ".hidden"),
        ("x" * 300 + ".mp4", "x" * 251 + ".mp4"),
        ("ü" * 300 + ".mp4", "ü" * 125 + ".mp4"),
        ("x" * 300, "x" * 255),
        ("a." + "x" * 300, "a." + "x" * 253),
    ],
)
def test_a_name_is_cleaned_of_all_but_itself(name: str, clean: str) -> None:
    assert clean_filename(name) == clean


@given(st.text(st.characters(), max_size=400))
def test_a_clean_name_is_short_has_no_directory_and_stays_clean(name: str) -> None:
    clean = clean_filename(name)

    assert len(clean.encode("utf-8")) <= MAX_FILENAME_BYTES
    assert not set("/\\\r\n\0") & set(clean)
    assert clean not in {".", ".."}
    assert clean_filename(clean) == clean


@given(st.text())
def test_any_text_has_parameters_or_is_malformed(value: str) -> None:
    try:
        parse_parameters(value)
    except MalformedForm:
        assert '"' in value
