from __future__ import annotations

from itertools import pairwise
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import MalformedForm
from media_service.wire.formdata import Event, FieldData, FieldEnded, FieldStarted, FormParser

TYPE = "multipart/form-data; boundary=XyZ"
Part = tuple[str, str | None, bytes]


def parser(content_type: str = TYPE, /, **limits: int) -> FormParser:
    return FormParser(
        content_type, **{"max_fields": 10, "max_field_bytes": 1000, "max_header_bytes": 2000, **limits}
    )


def build(parts: list[Part], boundary: str = "XyZ") -> bytes:
    body = bytearray()
    for name, filename, data in parts:
        file = "" if filename is None else f'; filename="{filename}"\r\nContent-Type: video/mp4'
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        body += data + b"\r\n"
    return bytes(body) + f"--{boundary}--\r\n".encode()


def read(pieces: list[bytes], form: FormParser | None = None) -> list[Part]:
    """All events of the pieces, put together again; checks that they come in a sensible order."""
    form = form or parser()
    events: list[Event] = [event for piece in pieces for event in form.feed(piece)]
    events += form.finish()
    parts: list[Part] = []
    is_open = False
    for event in events:
        match event:
            case FieldStarted(name, filename, _):
                assert not is_open
                is_open = True
                parts.append((name, filename, b""))
            case FieldData(data):
                assert is_open
                assert data
                parts[-1] = (*parts[-1][:2], parts[-1][2] + data)
            case FieldEnded():
                is_open = False
    assert not is_open
    return parts


# Everything that looks like a delimiter and is none.
TRAPS = b"\r\n--Xy\r\r\n--XyZ\r\r\n--XyZ-\r\n-\r\n--XyZx\r\n\r\n--\n--XyZ--\r--XyZ\r\n--xyZ--\r\n"
FORM: list[Part] = [("title", None, b"A film"), ("file", "film.mp4", TRAPS), ("empty", "", b"")]


def test_a_form_is_read_whole() -> None:
    form = parser()

    assert form.feed(build([("title", None, b"A film"), ("file", "film.mp4", b"bytes")])) == [
        FieldStarted("title", None, None),
        FieldData(b"A film"),
        FieldEnded(),
        FieldStarted("file", "film.mp4", "video/mp4"),
        FieldData(b"bytes"),
        FieldEnded(),
    ]
    assert form.finish() == []
    assert read([build(FORM)]) == FORM


def test_a_form_is_read_wherever_it_is_split() -> None:
    body = build(FORM)
    for place in range(len(body) + 1):
        assert read([body[:place], body[place:]]) == FORM, place


def test_a_form_is_read_byte_by_byte() -> None:
    body = build(FORM)

    assert read([body[i : i + 1] for i in range(len(body))]) == FORM


NEAR_DELIMITERS = st.lists(
    st.sampled_from([b"\r\n--XyZ", b"\r\n--Xy", b"\r\n--", b"\r\n", b"\r", b"-", b"x", b"\n", b"--XyZ--"]),
    max_size=12,
).map(b"".join)
CONTENTS = st.one_of(st.binary(max_size=60), NEAR_DELIMITERS).filter(
    # RFC 2046 s5.1.1: no line of the content may begin with the delimiter.
    lambda data: b"\r\n--XyZ" not in b"\r\n" + data
)


@given(
    st.lists(st.tuples(st.just("a"), st.sampled_from([None, "f.mp4"]), CONTENTS), max_size=5),
    st.lists(st.integers(0, 800), max_size=8),
)
def test_no_byte_is_lost_or_doubled_under_any_split(parts: list[Part], places: list[int]) -> None:
    body = build(parts)
    cuts = [0, *sorted(min(place, len(body)) for place in places), len(body)]

    assert read([body[start:stop] for start, stop in pairwise(cuts)]) == parts


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_are_read_or_malformed_the_same_whole_and_split(body: bytes, place: int) -> None:
    """The prefix makes sure that most of it is inside a part."""
    whole = b'--XyZ\r\nContent-Disposition: form-data; name="a"\r\n' + body

    def outcome(pieces: list[bytes]) -> list[Part] | None:
        try:
            return read(pieces)
        except MalformedForm:
            return None

    assert outcome([whole]) == outcome([whole[:place], whole[place:]])


def test_an_empty_form_has_no_fields_and_what_follows_the_end_is_ignored() -> None:
    assert read([b"--XyZ--\r\n"]) == []
    assert read([build(FORM) + b"epilogue --XyZ\r\n"]) == FORM
    assert read([b"\r\n" + build(FORM)]) == FORM


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="XyZ"',
        "Multipart/Form-Data;charset=utf-8;BOUNDARY=XyZ",
        "multipart/form-data; boundary=XyZ; foo=bar",
    ],
)
def test_the_boundary_is_found_in_any_spelling_of_the_type(content_type: str) -> None:
    assert read([build(FORM)], parser(content_type)) == FORM


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=XyZ",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=" + "x" * 71,
        'multipart/form-data; boundary="a\r\nb"',
        'multipart/form-data; boundary="ä"',
        'multipart/form-data; boundary="XyZ',
    ],
)
def test_a_type_without_a_proper_boundary_is_malformed(content_type: str) -> None:
    with pytest.raises(MalformedForm):
        parser(content_type)


@pytest.mark.parametrize("length", range(len(build(FORM[:2])) - 3))
def test_a_form_that_ends_early_is_malformed(length: int) -> None:
    form = parser()
    form.feed(build(FORM[:2])[:length])
    with pytest.raises(MalformedForm):
        form.finish()


HEAD = b"--XyZ\r\nContent-Disposition: form-data; name=a\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"garbage",
        b"--Xyz\r\n",
        b"--XyZ\r\n\r\nno headers\r\n--XyZ--",
        b"--XyZ\r\nContent-Type: text/plain\r\n\r\nx\r\n--XyZ--",
        b"--XyZ\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--XyZ--",
        b"--XyZ\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XyZ--",
        b'--XyZ\r\nContent-Disposition: form-data; name="a\r\n\r\nx\r\n--XyZ--',
        b"--XyZ\r\nContent Disposition: form-data; name=a\r\n\r\nx\r\n--XyZ--",
        HEAD + b"Content-Disposition: form-data; name=b\r\n\r\nx\r\n--XyZ--",
        HEAD + b"Content-Transfer-Encoding: base64\r\n\r\neA==\r\n--XyZ--",
        HEAD + b" folded\r\n\r\nx\r\n--XyZ--",
        HEAD + b"X: 1\r\n" * 20 + b"\r\nx\r\n--XyZ--",
    ],
)
def test_what_is_no_form_is_malformed_and_stays_so(body: bytes) -> None:
    form = parser()
    with pytest.raises(MalformedForm):
        form.feed(body)
    with pytest.raises(MalformedForm):
        form.feed(build(FORM))
    with pytest.raises(MalformedForm):
        form.finish()


def test_plain_transfer_encodings_are_taken_as_they_are() -> None:
    assert read([HEAD + b"Content-Transfer-Encoding: Binary\r\n\r\nx\r\n--XyZ--"]) == [("a", None, b"x")]


def test_names_are_utf8_or_else_latin1() -> None:
    for raw in ("ü.mp4".encode(), b"\xfc.mp4"):
        body = b'--XyZ\r\nContent-Disposition: form-data; name=a; filename="' + raw + b'"\r\n\r\n\r\n--XyZ--'
        assert read([body]) == [("a", "ü.mp4", b"")]


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("limits", "parts", "fits"),
    [
        ({"max_fields": 3}, FORM, True),
        ({"max_fields": 2}, FORM, False),
        ({"max_field_bytes": 6}, FORM, True),
        ({"max_field_bytes": 5}, FORM, False),
        ({"max_header_bytes": 100}, FORM, True),
        ({"max_header_bytes": 100}, [("x" * 80, None, b"")], False),
        ({"max_header_bytes": 100}, [("x", "x" * 60, b"")], False),
    ],
)
def test_limits_hold_however_the_bytes_come(
    limits: dict[str, int], parts: list[Part], *, fits: bool, step: int
) -> None:
    """The limit on a field's content does not count for files."""
    body = build(parts)
    pieces = [body[i : i + step] for i in range(0, len(body), step)]
    if fits:
        assert read(pieces, parser(**limits)) == parts
        return
    with pytest.raises(MalformedForm):
        read(pieces, parser(**limits))


def test_a_header_without_an_end_is_given_up_at_the_limit() -> None:
    form = parser()
    form.feed(b"--XyZ\r\nX: ")
    with pytest.raises(MalformedForm):
        form.feed(b"x" * 2001)


@pytest.mark.parametrize("unit", [b"\0", b"\r\n", b"\r", b"\r\n--Xy", b"-"])
def test_a_file_is_read_in_time_in_step_with_its_length(unit: bytes) -> None:
    size = 1 << 20
    form = parser()
    form.feed(b'--XyZ\r\nContent-Disposition: form-data; name=a; filename="f"\r\n\r\n')
    piece = (unit * (65536 // len(unit) + 1))[:65536]
    begun = process_time()
    total = sum(
        len(event.data)
        for _ in range(size // 65536)
        for event in form.feed(piece)
        if isinstance(event, FieldData)
    )
    assert process_time() - begun < 10  # far more than a busy machine needs; what is quadratic takes minutes
    assert size - 8 <= total <= size
