from __future__ import annotations

import pytest

from media_service.errors import InvalidRequest, MediaServiceError, UnsupportedBody, UploadTooLarge
from media_service.wire.upload_requests import (
    clip,
    media_type,
    read_content_length,
    read_number,
    refuse_coded,
    wants_strictness,
)


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("5", 5), ("007", 7), (str(2**63 - 1), 2**63 - 1)])
def test_digits_are_a_number(text: str, number: int) -> None:
    assert read_number(text, "Upload-Length", too_large=UploadTooLarge) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+5",
        "1_000",
        " 5",
        "5 ",
        "5, 5",
        "5;6",
        "1.5",
        "1e3",
        "0x10",
        "abc",
        "\u0665",
        "²",
        "5\n",
        "NaN",
    ],
)
def test_nothing_but_digits_is_a_number(text: str) -> None:
    with pytest.raises(InvalidRequest, match="Upload-Length"):
        read_number(text, "Upload-Length", too_large=UploadTooLarge)


@pytest.mark.parametrize("text", [str(2**63), str(2**64), "9" * 20, "1" + "0" * 40, "9" * 100_000])
@pytest.mark.parametrize("too_large", [UploadTooLarge, InvalidRequest])
def test_a_number_beyond_63_bits_is_too_large_however_many_digits_it_has(
    text: str, too_large: type[UploadTooLarge | InvalidRequest]
) -> None:
    with pytest.raises(MediaServiceError) as caught:
        read_number(text, "Upload-Length", too_large=too_large)

    assert type(caught.value) is too_large
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ({}, 0),
        ({"content-length": "0"}, 0),
        ({"content-length": "12"}, 12),
        ({"transfer-encoding": "chunked"}, None),
        ({"transfer-encoding": "chunked", "content-length": "12"}, None),
    ],
)
def test_a_body_has_its_announced_length_or_none_when_it_comes_in_chunks(
    headers: dict[str, str], length: int | None
) -> None:
    assert read_content_length(headers) == length


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, ""),
        ("application/partial-upload", "application/partial-upload"),
        (" Application/Partial-Upload ; x=1", "application/partial-upload"),
    ],
)
def test_a_media_type_is_compared_without_case_and_parameters(value: str | None, kind: str) -> None:
    assert media_type({} if value is None else {"content-type": value}) == kind


def test_a_compressed_film_is_refused() -> None:
    refuse_coded({})
    refuse_coded({"content-encoding": "identity"})
    with pytest.raises(UnsupportedBody, match="gzip"):
        refuse_coded({"content-encoding": "gzip"})


@pytest.mark.parametrize(
    ("value", "strict"),
    [
        ("handling=strict", True),
        ('Handling = "strict"; x=1', True),
        ("respond-async, handling=strict", True),
        ("handling=lenient", False),
        ("handling=lenient, handling=strict", False),
        ("handling", False),
        ("strict", False),
        ("", False),
    ],
)
def test_the_preference_for_strictness_is_found_among_others(value: str, *, strict: bool) -> None:
    assert wants_strictness({"prefer": value}) is strict


def test_without_a_preference_nothing_is_strict() -> None:
    assert not wants_strictness({})


def test_what_a_sentence_quotes_is_short_and_plain() -> None:
    assert clip("abc") == "'abc'"
    assert clip("ä\r\n") == "'\\xe4\\r\\n'"
    assert clip("a" * 64) == "'" + "a" * 64 + "'"
    assert clip("a" * 1000) == "'" + "a" * 64 + "...'"
