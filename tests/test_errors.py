"""The error table, and its document."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from media_service import errors
from media_service.errors import MediaServiceError
from tests.support.nginx import CONF

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "errors.md"


def table() -> list[type[MediaServiceError]]:
    """Every class of the table, bases included."""
    found: list[type[MediaServiceError]] = [MediaServiceError]
    for known in found:
        found += known.__subclasses__()
    return [error for error in found if error.__module__ == errors.__name__]


def documented() -> dict[str, tuple[str, str]]:
    """Code -> (status, title) of the document's tables."""
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \| (.*?) \|", DOCUMENT.read_text(), re.MULTILINE)
    assert len({row[0] for row in rows}) == len(rows), "a code stands there twice"
    return {code: (status, title) for code, status, title in rows}


def made_by_nginx() -> dict[str, tuple[str, str]]:
    """Code -> (status, title) of the problems that k8s/nginx.conf writes itself."""
    pattern = r'return (\d{3}) \'{"type":"about:blank","title":"([^"]+)","status":(\d{3}),.*"code":"(\w+)"}\''
    found = re.findall(pattern, CONF.read_text())
    assert all(status == said for status, _, said, _ in found)
    return {code: (status, title) for status, title, _, code in found}


def test_codes_are_unique() -> None:
    codes = [error.code for error in table()]
    assert sorted(codes) == sorted(set(codes))


def test_what_both_say_they_say_alike() -> None:
    ours = {error.code: (str(error.status), error.title) for error in table()}
    for code, said in made_by_nginx().items():
        assert ours.get(code, said) == said


@pytest.mark.parametrize("error", table(), ids=lambda error: error.__name__)
def test_every_error_is_whole(error: type[MediaServiceError]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)
    assert HTTPStatus.BAD_REQUEST <= error.status < 600  # 460 is tus' own
    assert error.title
    assert not error.title.endswith(".")
    assert error.__doc__
    assert error("A sentence.").detail == "A sentence."
    assert error().detail == ""


@pytest.mark.parametrize("error", table(), ids=lambda error: error.__name__)
def test_who_should_come_back_is_told_when(error: type[MediaServiceError]) -> None:
    # RFC 9110 s15.6.4, RFC 6585 s4; 507 likewise here: somebody may free the disk.
    assert (error.retry_after is not None) == (error.status in {429, 503, 507})


def test_the_document_lists_every_code_with_its_status_and_title() -> None:
    ours = {error.code: (str(error.status), error.title) for error in table()}
    assert documented() == ours | made_by_nginx()
