"""Every rule of tus 1.0.0 about the syntax of headers. Sections are those of the protocol."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest
from hypothesis import given

from media_service.errors import (
    BeyondLength,
    ChecksumUnsupported,
    FinalUpload,
    InvalidRequest,
    MediaServiceError,
    TusVersionUnsupported,
    UnsupportedBody,
    UploadTooLarge,
)
from media_service.wire.tus import (
    check_version,
    options_headers,
    problem_headers,
    progress_headers,
    read_append,
    read_creation,
    state_headers,
)
from media_service.wire.upload_requests import Append, Checks, Creation, Shown
from tests.wire.uploads import SHA256, TUS_HEADERS, encoded, refusal

BYTES = {"content-type": "application/offset+octet-stream"}
SHOWN = Shown(dialect="tus", offset=70, length=100, complete=False, expires_at=1403712000, max_bytes=1000)


# Core Protocol


@pytest.mark.parametrize("headers", [{}, {"tus-resumable": ""}, {"tus-resumable": "0.2.2"}])
def test_other_versions_are_not_spoken(headers: dict[str, str]) -> None:
    with pytest.raises(TusVersionUnsupported, match=r"1\.0\.0"):
        check_version(headers)


def test_version_1_is_spoken() -> None:
    check_version({"tus-resumable": "1.0.0"})


def test_an_append_says_where_it_begins() -> None:
    append = read_append({**BYTES, "upload-offset": "70", "content-length": "30"})

    assert append == Append(dialect="tus", offset=70, content_length=30)


def test_the_end_of_a_chunked_append_is_not_known_before() -> None:
    append = read_append({**BYTES, "upload-offset": "0", "transfer-encoding": "chunked"})

    assert append.content_length is None


@pytest.mark.parametrize("offset", [None, "", "-1", "abc", "1_0", "0x0", "1e3", "5, 5", str(2**63), "9" * 40])
def test_an_offset_is_a_number_and_has_to_be_there(offset: str | None) -> None:
    headers = BYTES if offset is None else {**BYTES, "upload-offset": offset}
    with pytest.raises(InvalidRequest, match="Upload-Offset"):
        read_append(headers)


@pytest.mark.parametrize(
    "kind", [None, "", "application/octet-stream", "application/partial-upload", "text/plain"]
)
def test_an_append_has_the_media_type_of_tus(kind: str | None) -> None:
    headers = {"upload-offset": "0"} if kind is None else {"upload-offset": "0", "content-type": kind}
    with pytest.raises(UnsupportedBody, match="Content-Type"):
        read_append(headers)


def test_the_media_type_may_be_written_otherwise() -> None:
    read_append({"upload-offset": "0", "content-type": "Application/Offset+Octet-Stream; charset=binary"})


def test_a_compressed_append_is_refused() -> None:
    with pytest.raises(UnsupportedBody, match="gzip"):
        read_append({**BYTES, "upload-offset": "0", "content-encoding": "gzip"})


# Creation


def test_a_creation_says_length_and_metadata() -> None:
    metadata = f"filename {encoded('Füße.mp4')},title {encoded('Ein Film')},is_confidential"

    creation = read_creation({"content-length": "0", "upload-length": "100", "upload-metadata": metadata})

    assert creation == Creation(
        dialect="tus", length=100, filename="Füße.mp4", title="Ein Film", metadata=metadata
    )


def test_an_empty_file_has_a_length() -> None:
    creation = read_creation({"upload-length": "0"})

    assert creation.length == 0
    assert not creation.deferred


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"upload-length": ""},
        {"upload-length": "-1"},
        {"upload-length": "abc"},
        {"upload-length": "1.5"},
        {"upload-length": "0x10"},
        {"upload-length": "5;6"},
        {"upload-length": "1_000"},
        {"upload-length": "+5"},
        {"upload-length": "5, 5"},
        {"upload-defer-length": ""},
        {"upload-defer-length": "0"},
        {"upload-defer-length": "2"},
        {"upload-defer-length": "1", "upload-length": "5"},
    ],
)
def test_a_creation_has_a_length_or_defers_it(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match="Length"):
        read_creation(headers)


def test_the_sentence_says_whether_a_length_is_missing_or_one_too_many() -> None:
    with pytest.raises(InvalidRequest, match="both missing"):
        read_creation({})
    with pytest.raises(InvalidRequest, match="both there"):
        read_creation({"upload-length": "5", "upload-defer-length": "1"})


@pytest.mark.parametrize("length", [2**63, 2**64, 10**40])
def test_a_length_beyond_63_bits_is_too_large(length: int) -> None:
    with pytest.raises(UploadTooLarge):
        read_creation({"upload-length": str(length)})


def test_a_deferred_length_comes_with_an_append() -> None:
    creation = read_creation({"upload-defer-length": "1"})
    append = read_append({**BYTES, "upload-offset": "3", "upload-length": "5"})

    assert creation.deferred
    assert creation.length is None
    assert append.length == 5


@pytest.mark.parametrize("length", ["-5", "", "5;6"])
def test_the_length_of_an_append_is_a_number(length: str) -> None:
    with pytest.raises(InvalidRequest, match="Upload-Length"):
        read_append({**BYTES, "upload-offset": "0", "upload-length": length})


@pytest.mark.parametrize(
    ("pairs", "filename", "title"),
    [
        ({}, "", None),
        ({"filename": b"film.mp4"}, "film.mp4", None),
        ({"name": b"film.mp4"}, "film.mp4", None),
        ({"name": b"uppy.mp4", "filename": b"film.mp4"}, "film.mp4", None),
        ({"filename": b"", "name": b"film.mp4"}, "film.mp4", None),
        ({"filename": b"../../etc/cron.d/x"}, "x", None),
        ({"filename": b'a"\r\nSet-Cookie: pwn=1\r\n.mp4'}, 'a"Set-Cookie: pwn=1.mp4', None),
        ({"filename": b"\xff.mp4"}, "\ufffd.mp4", None),
        ({"filename": "тест ☃.mp4".encode()}, "тест ☃.mp4", None),
        ({"title": b""}, "", ""),
        ({"title": b"\xff"}, "", "\ufffd"),
    ],
)
def test_names_are_cleaned_and_bytes_that_are_no_text_replaced(
    pairs: dict[str, bytes], filename: str, title: str | None
) -> None:
    metadata = ",".join(f"{key} {base64.b64encode(value).decode()}" for key, value in pairs.items())

    creation = read_creation({"upload-length": "5", "upload-metadata": metadata})

    assert (creation.filename, creation.title) == (filename, title)


def test_metadata_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="filename"):
        read_creation({"upload-length": "5", "upload-metadata": "filename !!!notbase64"})


# Creation With Upload


def test_a_creation_may_bring_bytes() -> None:
    creation = read_creation({**BYTES, "content-length": "5", "upload-length": "100"})

    assert creation.has_content
    assert read_creation({**BYTES, "transfer-encoding": "chunked", "upload-length": "100"}).has_content


def test_bytes_with_another_media_type_are_refused() -> None:
    with pytest.raises(UnsupportedBody):
        read_creation({"content-type": "text/plain", "content-length": "5", "upload-length": "100"})
    with pytest.raises(UnsupportedBody):
        read_creation({"transfer-encoding": "chunked", "upload-length": "100"})


def test_a_media_type_without_bytes_means_nothing() -> None:
    creation = read_creation({"content-type": "text/plain", "content-length": "0", "upload-length": "100"})

    assert not creation.has_content


def test_a_creation_with_more_bytes_than_its_length_is_refused() -> None:
    with pytest.raises(BeyondLength):
        read_creation({**BYTES, "content-length": "6", "upload-length": "5"})


# Checksum


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("sha1", hashlib.sha1(b"hello world").digest()),
        ("sha256", hashlib.sha256(b"hello world").digest()),
        ("crc32", zlib.crc32(b"hello world").to_bytes(4, "big")),
    ],
)
def test_a_checksum_is_of_this_body(name: str, digest: bytes) -> None:
    checksum = f"{name} {base64.b64encode(digest).decode()}"
    expected = Checks(content=((name, digest),), tus_checksum=True)

    assert read_append({**BYTES, "upload-offset": "0", "upload-checksum": checksum}).checks == expected
    assert read_creation({"upload-length": "11", "upload-checksum": checksum}).checks == expected


@pytest.mark.parametrize(
    "checksum", ["md99 AAAA", "md5 AAAA", "SHA1 AAAA", "", "sha1,sha1 AAAA", "\ud800 AAAA"]
)
def test_an_unknown_algorithm_is_refused(checksum: str) -> None:
    with pytest.raises(ChecksumUnsupported, match="sha1, sha256, crc32"):
        read_append({**BYTES, "upload-offset": "0", "upload-checksum": checksum})


@pytest.mark.parametrize("checksum", ["sha1", "sha1 ", "sha1 AAAA", "sha1 !", "crc32 00000000", "crc32 ☃"])
def test_a_checksum_of_another_form_is_refused(checksum: str) -> None:
    with pytest.raises(InvalidRequest, match="Upload-Checksum"):
        read_append({**BYTES, "upload-offset": "0", "upload-checksum": checksum})


def test_digests_of_http_are_heeded_as_well() -> None:
    field = f"sha-256=:{base64.b64encode(SHA256).decode()}:"

    append = read_append({**BYTES, "upload-offset": "0", "content-digest": field, "repr-digest": field})

    assert append.checks == Checks(content=(("sha256", SHA256),))
    assert append.repr_digests == (("sha256", SHA256),)


# Concatenation


def test_a_partial_upload_is_created_like_any_other() -> None:
    creation = read_creation({"upload-concat": "partial", "upload-length": "5"})

    assert (creation.concat, creation.length, creation.concat_header) == ("partial", 5, "partial")


def test_a_final_upload_has_the_length_of_its_parts() -> None:
    concat = "final;/api/v1/uploads/a https://media.example/api/v1/uploads/b"

    creation = read_creation({"upload-concat": concat, "upload-metadata": f"filename {encoded('a.mp4')}"})

    assert creation.parts == ("a", "b")
    assert creation.concat_header == concat
    assert creation.filename == "a.mp4"
    assert creation.length is None
    assert not creation.deferred


@pytest.mark.parametrize("header", ["upload-length", "upload-defer-length"])
def test_a_final_upload_states_no_length(header: str) -> None:
    with pytest.raises(InvalidRequest, match="Upload-Length"):
        read_creation({"upload-concat": "final;/api/v1/uploads/a", header: "1"})


def test_a_final_upload_brings_no_bytes() -> None:
    with pytest.raises(FinalUpload):
        read_creation({"upload-concat": "final;/api/v1/uploads/a", **BYTES, "content-length": "5"})


# Preferences


def test_a_client_may_prefer_to_be_told_of_files_that_cannot_be_used() -> None:
    strict = {"prefer": "handling=strict"}

    assert read_creation({"upload-length": "5", **strict}).strict
    assert read_append({**BYTES, "upload-offset": "0", **strict}).strict


# Answers


def test_the_state_of_an_upload() -> None:
    assert state_headers(SHOWN) == {
        "tus-resumable": "1.0.0",
        "upload-offset": "70",
        "upload-length": "100",
        "upload-expires": "Wed, 25 Jun 2014 16:00:00 GMT",
    }


def test_an_unknown_length_is_shown_as_deferred() -> None:
    deferred = Shown(dialect="tus", offset=0, length=None, complete=False, expires_at=0, max_bytes=1)

    headers = state_headers(deferred)

    assert headers["upload-defer-length"] == "1"
    assert "upload-length" not in headers


def test_what_the_client_said_at_the_creation_is_repeated() -> None:
    shown = Shown(
        dialect="tus",
        offset=0,
        length=5,
        complete=False,
        expires_at=0,
        max_bytes=1,
        concat_header="partial",
        metadata="filename YQ==",
    )

    headers = state_headers(shown)

    assert headers["upload-concat"] == "partial"
    assert headers["upload-metadata"] == "filename YQ=="


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (0, None, {}),
        (5, 11, {"upload-length": "11"}),
        (11, 11, {"upload-length": "11", "upload-offset": "11"}),
    ],
)
def test_a_final_upload_has_an_offset_once_it_is_put_together(
    offset: int, length: int | None, expected: dict[str, str]
) -> None:
    shown = Shown(
        dialect="tus",
        offset=offset,
        length=length,
        complete=False,
        expires_at=0,
        max_bytes=1,
        concat_header="final;/api/v1/uploads/a",
    )

    headers = state_headers(shown)

    numbers = {"upload-length", "upload-offset", "upload-defer-length"}
    assert {name: headers[name] for name in numbers & headers.keys()} == expected


def test_progress_is_an_offset_and_when_it_is_forgotten() -> None:
    assert progress_headers(SHOWN) == {
        "tus-resumable": "1.0.0",
        "upload-offset": "70",
        "upload-expires": "Wed, 25 Jun 2014 16:00:00 GMT",
    }


def test_errors_say_which_versions_are_spoken() -> None:
    assert problem_headers() == {"tus-resumable": "1.0.0", "tus-version": "1.0.0"}


def test_options_say_what_there_is() -> None:
    assert options_headers(1073741824) == {
        "tus-resumable": "1.0.0",
        "tus-version": "1.0.0",
        "tus-extension": (
            "creation,creation-with-upload,creation-defer-length,termination,checksum,expiration,concatenation"
        ),
        "tus-max-size": "1073741824",
        "tus-checksum-algorithm": "sha1,sha256,crc32",
    }


@given(TUS_HEADERS)
def test_no_request_raises_anything_but_errors_of_the_table(headers: dict[str, str]) -> None:
    for read in (check_version, read_creation, read_append):
        if error := refusal(read, headers):
            assert 400 <= error.status < 500
            assert 0 < len(error.detail) < 400


@given(TUS_HEADERS)
def test_what_is_echoed_cannot_inject_a_header(headers: dict[str, str]) -> None:
    try:
        creation = read_creation(headers)
    except MediaServiceError:
        return
    shown = Shown(
        dialect="tus",
        offset=0,
        length=creation.length,
        complete=False,
        expires_at=0,
        max_bytes=1,
        concat_header=creation.concat_header,
        metadata=creation.metadata,
    )
    assert all(value.isascii() and value.isprintable() for value in state_headers(shown).values())
