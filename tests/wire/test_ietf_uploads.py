"""Every rule of draft-ietf-httpbis-resumable-upload-12 about the syntax of headers. Sections are those of the draft."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import (
    BeyondLength,
    InconsistentLength,
    InvalidRequest,
    MediaServiceError,
    UnsupportedBody,
    UploadTooLarge,
)
from media_service.wire.ietf_uploads import (
    check_retrieval,
    limit,
    problem_headers,
    progress_headers,
    read_append,
    read_creation,
    state_headers,
)
from media_service.wire.structured import read_dictionary, read_item
from media_service.wire.upload_requests import Append, Checks, Creation, Shown
from tests.wire.uploads import IETF_HEADERS, SHA256, refusal

PART = {"content-type": "application/partial-upload"}
NOW = 1_000_000
SHOWN = Shown(
    dialect="ietf", offset=25, length=100, complete=False, expires_at=NOW + 3600, max_bytes=1234567890
)
DIGEST = f"sha-256=:{base64.b64encode(SHA256).decode()}:"


# 4.1.1 Upload-Offset


@pytest.mark.parametrize(
    ("value", "offset"), [("0", 0), ("12;a=1", 12), (" 7 ", 7), ("999999999999999", 10**15 - 1)]
)
def test_an_offset_is_a_non_negative_integer_whatever_its_parameters(value: str, offset: int) -> None:
    assert read_append({**PART, "upload-complete": "?0", "upload-offset": value}).offset == offset


@pytest.mark.parametrize(
    "value", [None, "", "-1", "abc", "1.0", "?1", '"5"', "5, 5", "1_0", "+5", "1" + "0" * 15]
)
def test_any_other_offset_is_ignored_and_an_append_without_offset_refused(value: str | None) -> None:
    headers = {**PART, "upload-complete": "?0"}
    with pytest.raises(InvalidRequest, match="Upload-Offset"):
        read_append(headers if value is None else {**headers, "upload-offset": value})


# 4.1.2 Upload-Complete


@pytest.mark.parametrize(("value", "complete"), [("?1", True), ("?0", False), ("?1;a=1", True)])
def test_completeness_is_a_boolean(value: str, *, complete: bool) -> None:
    assert read_creation({"upload-complete": value}).complete is complete
    assert read_append({**PART, "upload-offset": "0", "upload-complete": value}).complete is complete


@pytest.mark.parametrize("value", [None, "", "true", "1", "?2", "?1, ?1", "1.0"])
def test_any_other_completeness_is_ignored_and_a_request_without_it_refused(value: str | None) -> None:
    headers = {} if value is None else {"upload-complete": value}
    with pytest.raises(InvalidRequest, match=r"Upload-Complete.*\?1 or \?0"):
        read_creation(headers)
    with pytest.raises(InvalidRequest, match=r"Upload-Complete"):
        read_append({**PART, "upload-offset": "0", **headers})


# 4.1.3 Upload-Length


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ({"upload-complete": "?0"}, None),
        ({"upload-complete": "?0", "upload-length": "100"}, 100),
        ({"upload-complete": "?0", "upload-length": "100", "content-length": "5"}, 100),
        ({"upload-complete": "?0", "content-length": "5"}, None),
        ({"upload-complete": "?1", "content-length": "5"}, 5),
        ({"upload-complete": "?1"}, 0),
        ({"upload-complete": "?1", "content-length": "5", "upload-length": "5"}, 5),
        ({"upload-complete": "?1", "transfer-encoding": "chunked"}, None),
        ({"upload-complete": "?1", "transfer-encoding": "chunked", "upload-length": "5"}, 5),
        ({"upload-complete": "?0", "upload-length": "100;a"}, 100),
        ({"upload-complete": "?0", "upload-length": "-1"}, None),
        ({"upload-complete": "?0", "upload-length": "1.5"}, None),
        ({"upload-complete": "?0", "upload-length": "abc"}, None),
        ({"upload-complete": "?0", "upload-length": "1000000000000000"}, None),
    ],
)
def test_the_length_is_stated_or_follows_from_the_last_body(
    headers: dict[str, str], length: int | None
) -> None:
    assert read_creation(headers).length == length


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ({"upload-complete": "?0", "content-length": "5"}, None),
        ({"upload-complete": "?1", "content-length": "5"}, 25),
        ({"upload-complete": "?1", "content-length": "0"}, 20),
        ({"upload-complete": "?1", "content-length": "5", "upload-length": "25"}, 25),
        ({"upload-complete": "?0", "content-length": "5", "upload-length": "50"}, 50),
        ({"upload-complete": "?1", "transfer-encoding": "chunked"}, None),
    ],
)
def test_the_length_that_follows_from_an_append_counts_its_offset(
    headers: dict[str, str], length: int | None
) -> None:
    assert read_append({**PART, "upload-offset": "20", **headers}).length == length


@pytest.mark.parametrize("length", ["4", "6", "100"])
def test_two_indicators_of_one_request_have_to_agree(length: str) -> None:
    headers = {"upload-complete": "?1", "content-length": "5", "upload-length": length}
    with pytest.raises(InconsistentLength, match=length):
        read_creation(headers)
    with pytest.raises(InconsistentLength):
        read_append({**PART, "upload-offset": "20", **headers})


def test_a_creation_with_more_bytes_than_its_length_is_refused() -> None:
    with pytest.raises(BeyondLength):
        read_creation({"upload-complete": "?0", "content-length": "6", "upload-length": "5"})


def test_an_append_beyond_its_own_length_is_for_whoever_knows_the_upload() -> None:
    append = read_append(
        {**PART, "upload-offset": "0", "upload-complete": "?0", "content-length": "6", "upload-length": "5"}
    )

    assert (append.content_length, append.length) == (6, 5)


def test_an_end_beyond_63_bits_is_too_large() -> None:
    last = {**PART, "upload-offset": "0", "upload-complete": "?0", "content-length": str(2**63 - 1)}
    assert read_append(last).content_length == 2**63 - 1
    with pytest.raises(UploadTooLarge):
        read_append({**PART, "upload-offset": "1", "upload-complete": "?0", "content-length": str(2**63 - 1)})


# 4.2 Creation


def test_a_creation_may_bring_all_some_or_no_bytes() -> None:
    assert read_creation({"upload-complete": "?0"}) == Creation(dialect="ietf", complete=False)
    assert read_creation({"upload-complete": "?0", "content-length": "5"}).has_content
    assert read_creation({"upload-complete": "?1", "transfer-encoding": "chunked"}).has_content


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        (None, ""),
        ("inline", ""),
        ("inline; filename=film.mp4", "film.mp4"),
        ('attachment; filename="my film.mp4"', "my film.mp4"),
        ("inline; filename=\"file name.mp4\"; filename*=UTF-8''F%C3%BC%C3%9Fe.mp4", "Füße.mp4"),
        ('inline; filename="' + "Füße.mp4".encode().decode("latin-1") + '"', "Füße.mp4"),
        ('inline; filename="Füße.mp4"', "Füße.mp4"),
        ('inline; filename="☃.mp4"', "☃.mp4"),
        ('inline; filename="../../etc/passwd"', "passwd"),
    ],
)
def test_the_file_name_comes_with_the_disposition(disposition: str | None, filename: str) -> None:
    headers = {"upload-complete": "?0"}
    creation = read_creation(
        headers if disposition is None else {**headers, "content-disposition": disposition}
    )

    assert creation.filename == filename


def test_a_disposition_without_end_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="Content-Disposition"):
        read_creation({"upload-complete": "?0", "content-disposition": 'inline; filename="film'})


@pytest.mark.parametrize(
    "headers", [{"content-type": "multipart/form-data; boundary=x"}, {"content-encoding": "gzip"}]
)
def test_forms_and_compressed_films_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(UnsupportedBody):
        read_creation({"upload-complete": "?1", **headers})


# 4.3 Offset retrieval


@pytest.mark.parametrize(("name", "value"), [("upload-offset", "10"), ("upload-complete", "?0")])
def test_asking_for_the_offset_states_none(name: str, value: str) -> None:
    check_retrieval({})
    with pytest.raises(InvalidRequest, match="asks for the offset"):
        check_retrieval({name: value})


# 4.4 Append


def test_an_append_says_where_it_begins_and_whether_it_is_the_last() -> None:
    headers = {**PART, "upload-offset": "20", "upload-complete": "?0", "content-length": "5"}

    assert read_append(headers) == Append(dialect="ietf", offset=20, complete=False, content_length=5)


@pytest.mark.parametrize("kind", [None, "", "application/octet-stream", "application/offset+octet-stream"])
def test_an_append_has_the_media_type_of_the_draft(kind: str | None) -> None:
    headers = {"upload-offset": "0", "upload-complete": "?0"}
    with pytest.raises(UnsupportedBody, match="application/partial-upload"):
        read_append(headers if kind is None else {**headers, "content-type": kind})


# 8 Integrity digests


def test_digests_are_of_this_body_and_of_the_whole_file() -> None:
    headers = {"upload-complete": "?0", "content-digest": DIGEST, "repr-digest": DIGEST}
    creation, append = read_creation(headers), read_append({**PART, "upload-offset": "0", **headers})

    assert creation.checks == append.checks == Checks(content=(("sha256", SHA256),))
    assert creation.repr_digests == append.repr_digests == (("sha256", SHA256),)


def test_a_checksum_of_tus_means_nothing_here() -> None:
    assert read_creation({"upload-complete": "?0", "upload-checksum": "md99 AAAA"}).checks == Checks()


# Answers


def test_the_state_of_an_upload() -> None:
    assert state_headers(SHOWN, NOW) == {
        "upload-complete": "?0",
        "upload-offset": "25",
        "upload-length": "100",
        "upload-limit": "min-size=0, max-size=1234567890, max-age=3600",
    }


def test_an_unknown_length_is_not_shown() -> None:
    shown = Shown(dialect="ietf", offset=0, length=None, complete=False, expires_at=NOW, max_bytes=1)

    assert "upload-length" not in state_headers(shown, NOW)


@pytest.mark.parametrize(("complete", "value"), [(False, "?0"), (True, "?1")])
def test_an_answer_says_whether_it_is_the_outcome(*, complete: bool, value: str) -> None:
    shown = Shown(dialect="ietf", offset=100, length=100, complete=complete, expires_at=NOW, max_bytes=1)

    assert progress_headers(shown, NOW)["upload-complete"] == value
    assert state_headers(shown, NOW)["upload-complete"] == value
    assert problem_headers(shown, NOW, max_bytes=1)["upload-complete"] == "?0"


def test_errors_tell_the_offset_and_the_limits() -> None:
    assert problem_headers(SHOWN, NOW, max_bytes=1234567890) == {
        "upload-complete": "?0",
        "upload-offset": "25",
        "upload-limit": "min-size=0, max-size=1234567890, max-age=3600",
    }
    assert problem_headers(None, NOW, max_bytes=5) == {
        "upload-complete": "?0",
        "upload-limit": "min-size=0, max-size=5",
    }


def test_limits_beyond_what_an_integer_of_structured_fields_can_say_are_cut() -> None:
    assert limit(2**63) == "min-size=0, max-size=999999999999999"
    assert limit(5, max_age=-1) == "min-size=0, max-size=5, max-age=0"  # expired, and not yet removed


@given(st.integers(0, 2**70), st.none() | st.integers(-(2**70), 2**70))
def test_limits_are_always_a_dictionary_of_integers(max_bytes: int, max_age: int | None) -> None:
    limits = read_dictionary(limit(max_bytes, max_age=max_age))

    assert limits is not None
    assert all(isinstance(value, int) and value >= 0 for value in limits.values())


@given(IETF_HEADERS)
def test_no_request_raises_anything_but_errors_of_the_table(headers: dict[str, str]) -> None:
    for read in (check_retrieval, read_creation, read_append):
        if error := refusal(read, headers):
            assert 400 <= error.status < 500
            assert 0 < len(error.detail) < 400


@given(IETF_HEADERS)
def test_what_is_read_of_an_append_is_what_stands_there(headers: dict[str, str]) -> None:
    try:
        append = read_append(headers)
    except MediaServiceError:
        return
    assert append.offset == read_item(headers["upload-offset"])
    assert append.complete == read_item(headers["upload-complete"])
    assert append.length is None or append.length >= 0
