from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import InvalidRequest, TusVersionUnsupported
from media_service.wire.resumable import (
    Dialect,
    Shown,
    asked_method,
    cancel_headers,
    check_retrieval,
    check_version,
    dialect_of,
    options_headers,
    problem_headers,
    progress_headers,
    read_append,
    read_creation,
    repr_digest,
    state_headers,
)
from tests.wire.uploads import IETF_HEADERS, TUS_HEADERS, refusal

NOW = 1_000_000


def shown(dialect: Dialect) -> Shown:
    return Shown(dialect=dialect, offset=5, length=10, complete=False, expires_at=NOW + 60, max_bytes=1000)


@pytest.mark.parametrize(
    ("headers", "dialect"),
    [
        ({}, None),
        ({"upload-length": "5", "upload-offset": "0"}, None),
        ({"content-type": "application/offset+octet-stream"}, None),
        ({"tus-resumable": "1.0.0"}, "tus"),
        ({"tus-resumable": "0.2.2"}, "tus"),
        ({"tus-resumable": "1.0.0", "upload-complete": "?1"}, "tus"),
        ({"upload-complete": "?0"}, "ietf"),
        ({"upload-complete": "junk"}, "ietf"),
        ({"upload-draft-interop-version": "8"}, "ietf"),
        ({"content-type": "Application/partial-upload;x=1"}, "ietf"),
    ],
)
def test_a_request_tells_its_dialect_by_its_headers(headers: dict[str, str], dialect: Dialect | None) -> None:
    assert dialect_of(headers) == dialect


def test_a_request_in_neither_dialect_is_told_what_to_send() -> None:
    for read in (read_creation, read_append):
        with pytest.raises(InvalidRequest, match=r"Tus-Resumable: 1\.0\.0.*Upload-Complete"):
            read({"upload-length": "5"})


def test_each_dialect_is_read_by_its_own_rules() -> None:
    tus = {"tus-resumable": "1.0.0", "upload-length": "5"}
    ietf = {"upload-complete": "?0", "upload-length": "5"}

    assert [read_creation(headers).dialect for headers in (tus, ietf)] == ["tus", "ietf"]
    tus |= {"content-type": "application/offset+octet-stream", "upload-offset": "0"}
    ietf |= {"content-type": "application/partial-upload", "upload-offset": "0"}
    assert [read_append(headers).dialect for headers in (tus, ietf)] == ["tus", "ietf"]


def test_the_version_is_that_of_tus() -> None:
    check_version({"tus-resumable": "1.0.0"})
    with pytest.raises(TusVersionUnsupported):
        check_version({})


@pytest.mark.parametrize(
    ("method", "headers", "asked"),
    [
        ("POST", {}, "POST"),
        ("POST", {"x-http-method-override": "PATCH"}, "PATCH"),
        ("POST", {"x-http-method-override": "patch"}, "PATCH"),
        ("POST", {"x-http-method-override": " DELETE "}, "DELETE"),
        ("POST", {"x-http-method-override": ""}, "POST"),
        ("GET", {"x-http-method-override": "DELETE"}, "GET"),
        ("HEAD", {}, "HEAD"),
    ],
)
def test_a_post_may_stand_for_another_method(method: str, headers: dict[str, str], asked: str) -> None:
    assert asked_method(method, headers) == asked


def test_only_tus_clients_may_state_an_offset_when_they_ask_for_it() -> None:
    check_retrieval({"tus-resumable": "1.0.0", "upload-offset": "5"})
    with pytest.raises(InvalidRequest):
        check_retrieval({"upload-offset": "5"})
    with pytest.raises(InvalidRequest):
        check_retrieval({"upload-complete": "?1"})


def test_answers_are_in_the_dialect_that_is_asked_for() -> None:
    for headers in (state_headers, progress_headers):
        assert headers("tus", shown("ietf"), NOW)["tus-resumable"] == "1.0.0"
        assert headers("ietf", shown("tus"), NOW)["upload-complete"] == "?0"
    assert problem_headers("tus", None, NOW, max_bytes=5)["tus-version"] == "1.0.0"
    assert problem_headers("ietf", shown("ietf"), NOW, max_bytes=5)["upload-offset"] == "5"
    assert cancel_headers("tus")["tus-resumable"] == "1.0.0"
    assert cancel_headers("ietf") == {}


def test_options_answer_in_both_dialects() -> None:
    headers = options_headers(1000, 3600)

    assert headers["tus-max-size"] == "1000"
    assert headers["upload-limit"] == "min-size=0, max-size=1000, max-age=3600"


def test_the_digest_of_a_file_is_told_in_base64() -> None:
    assert repr_digest("00" * 32) == "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"


@given(TUS_HEADERS | IETF_HEADERS, st.sampled_from(["GET", "POST"]))
def test_no_request_raises_anything_but_errors_of_the_table(headers: dict[str, str], method: str) -> None:
    asked_method(method, headers)
    for read in (read_creation, read_append, check_retrieval, check_version):
        if error := refusal(read, headers):
            assert 400 <= error.status < 500
