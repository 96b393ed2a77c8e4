"""Requests to be damaged: ranges, forms, uploads, structured fields, tokens, and other fields that strangers write."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Iterator, Mapping
from functools import partial

from media_service.errors import InvalidRequest, MalformedForm, MediaServiceError, RangeNotSatisfiable
from media_service.wire import origins, ranges, resumable, signatures, webhook_targets
from media_service.wire.delivery import plan
from media_service.wire.digests import read_digests, read_file_digests, read_idempotency_key
from media_service.wire.disposition import clean_filename, parse_disposition
from media_service.wire.formdata import FieldData, FormParser
from media_service.wire.forwarded import client_address, household, read_networks
from media_service.wire.structured import read_dictionary, read_item
from tests.fuzz.mutations import Seed
from tests.fuzz.seeds import text_seed
from tests.fuzz.watched import Target
from tests.wire.content import representation
from tests.wire.tokens import ASSET, FULL, KEY, KEYS, NOW, TOKEN

SIZE = 1000  # bytes of what ranges are of
MOST_BYTES = 2 << 20  # of memory, for some hundred bytes of text
_SHA256 = base64.b64encode(hashlib.sha256(b"film").digest()).decode()

NUMBERS = [
    "0",
    "-1",
    "00",
    "999",
    "1000",
    "9223372036854775807",
    "9223372036854775808",
    "1" * 5000,
    "\u0661",
    "1e9",
    "0x1",
]


def _text(data: bytes) -> str:
    """A header as ASGI has it: any byte is a character."""
    return data.decode("latin-1")


# --- ranges ---------------------------------------------------------------------------------------------------


def read_range(data: bytes) -> None:
    """Whatever is selected lies within, and is sent no byte twice."""
    spans = ranges.parse(_text(data), SIZE)
    for span in spans or ():
        assert 0 <= span.start < span.stop <= SIZE
    assert sum(span.size for span in spans or ()) <= SIZE


def read_conditions(data: bytes) -> None:
    """A whole request of a film: answered with what it may be answered with, and as long as it says."""
    shown = representation(SIZE)
    answer = plan("GET", _fields(data), shown)
    assert answer.status in {200, 206, 304, 412, 416}
    length = dict(answer.headers).get(b"content-length")
    assert length is None or int(length) == answer.size


def _fields(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in data.split(b"\n"):
        name, _, value = line.partition(b":")
        yield name, value


RANGE_SEEDS = [
    text_seed(f"range {text}", text, "bytes", "=", "-", ",", " ", "\t", *NUMBERS)
    for text in (
        "bytes=0-499",
        "bytes=-500",
        "bytes=500-",
        "bytes=0-0, 5-9 ,-1,  20-",
        "BYTES=1-2,3-4,900-1100",
    )
]
CONDITION_SEEDS = [
    text_seed(
        "conditions",
        'range:bytes=1-5,7-9\nif-range:"v1"\nif-none-match:W/"v2", "v1"\nif-match:*',
        *('W/"', '"', "*", ",", "v1", "\n", "if-range:", "range:", "bytes="),
    ),
    text_seed(
        "dates",
        "range:bytes=1-5\nif-range:Thu, 28 May 2026 20:26:40 GMT\nif-modified-since:Sunday, 06-Nov-94 08:49:37 GMT\n"
        "if-unmodified-since:Sun Nov  6 08:49:37 1994",
        *("GMT", "Mon", "99", "0000", "60", "\u00b2", ",", " ", ":", "-"),
    ),
]


# --- forms ----------------------------------------------------------------------------------------------------

_CONTENT_TYPE = "multipart/form-data; boundary=XyZ"
_FORM = (
    '--XyZ\r\nContent-Disposition: form-data; name="title"\r\n\r\nA film\r\n'
    '--XyZ\r\nContent-Disposition: form-data; name="file"; filename="a\\"b.mp4"; filename*=UTF-8\'\'a%20b.mp4\r\n'
    "Content-Type: video/mp4\r\nContent-Transfer-Encoding: binary\r\n\r\n\r\n--Xy\r\n--XyZx\r\n\r\n--XyZ--\r\n"
)


def read_form(data: bytes) -> None:
    """Its first line is its type. However the body is split, the same comes of it."""
    content_type, _, body = data.partition(b"\n")
    whole = _outcome(_text(content_type), [body])
    dice = random.Random(len(body))
    pieces = []
    while body:
        size = dice.choice((1, 1, 2, 3, 50, 1000))
        pieces.append(body[:size])
        body = body[size:]
    assert _outcome(_text(content_type), pieces) == whole
    if whole is None:
        raise MalformedForm("as it should")


def _outcome(content_type: str, pieces: list[bytes]) -> list[object] | None:
    try:
        form = FormParser(content_type, max_fields=5, max_field_bytes=200, max_header_bytes=400)
        events = [event for piece in pieces for event in form.feed(piece)]
        events += form.finish()
    except MalformedForm:
        return None
    joined: list[object] = []
    for event in events:
        match event, joined:
            case FieldData(data), [*_, bytes(before)]:
                joined[-1] = before + data
            case FieldData(data), _:
                joined.append(data)
            case _:
                joined.append(event)
    return joined


FORM_SEEDS = [
    text_seed(
        "form",
        f"{_CONTENT_TYPE}\n{_FORM}",
        *("\r\n", "--XyZ", "--XyZ--", "--", '"', "\\", "filename*=UTF-8''", "%00", "%", ";", "\r\n\r\n", "name=", "base64", "\0"),
    ),
    text_seed(
        "disposition",
        f"{_CONTENT_TYPE}\n--XyZ\r\ncontent-disposition: form-data; name=file; filename=\"../../etc/passwd\"\r\n\r\nx\r\n--XyZ--\r\n",
        *("\r\n", "\u202e", "..", "\\", '"', "boundary=", "\r", "\n", ":"),
    ),
]  # fmt: skip


# --- uploads --------------------------------------------------------------------------------------------------


def read_upload(data: bytes) -> None:
    """All readers of upload requests see the same headers; the first refusal is the outcome, as for a request."""
    headers = _joined(data)
    refusals = []
    for read in (
        resumable.check_version,
        resumable.read_creation,
        resumable.read_append,
        resumable.check_retrieval,
        read_file_digests,
        read_idempotency_key,
        partial(resumable.asked_method, "POST"),
    ):
        try:
            read(headers)
        except MediaServiceError as error:
            refusals.append(error)
    assert all(error.status < 500 and error.detail.isprintable() for error in refusals)
    if refusals:
        raise refusals[0]


def _joined(data: bytes) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in _fields(data):
        name, value = _text(raw_name).lower(), _text(raw_value).strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


UPLOAD_WORDS = [
    *("\n", ":", ";", ",", "=", "?0", "?1", "sha-256=:", "sha1 ", "crc32 ", "final;", "partial", "filename ", '"', "%"),
    *("upload-length:", "upload-offset:", "upload-complete:", "tus-resumable:1.0.0\n", "content-length:"),
    *("/api/v1/uploads/", "..", "\0", *NUMBERS),
]  # fmt: skip
UPLOAD_SEEDS = [
    text_seed("tus creation", "tus-resumable:1.0.0\nupload-length:500\ncontent-length:100\ncontent-type:application/offset+octet-stream\n"
        "upload-metadata:filename ZmlsbS5tcDQ=,title RmlsbQ==,empty\nupload-checksum:sha1 aPXFnLjHMZd7/MqkCFnCuVbP7v0=\nprefer:handling=strict", *UPLOAD_WORDS),
    text_seed("tus final", "tus-resumable:1.0.0\nupload-concat:final;/api/v1/uploads/abc https://host/api/v1/uploads/def\n"
        "upload-metadata:name ZmlsbS5tcDQ=", *UPLOAD_WORDS),
    text_seed("tus append", "tus-resumable:1.0.0\nupload-offset:100\nupload-length:500\ncontent-length:400\ncontent-type:application/offset+octet-stream\n"
        "upload-checksum:crc32 AAAAAA==\nx-http-method-override:PATCH", *UPLOAD_WORDS),
    text_seed("ietf creation", f"upload-complete:?0\nupload-draft-interop-version:8\nupload-length:500\ncontent-length:10\n"
        f"content-disposition:attachment; filename=\"film.mp4\"; filename*=UTF-8''f%C3%A4lm.mp4\nrepr-digest:sha-256=:{_SHA256}:, sha-512=:AA==:\n"
        "content-encoding:identity\nidempotency-key:\"abc\"", *UPLOAD_WORDS),
    text_seed("ietf append", f"upload-complete:?1\nupload-offset:100\ncontent-type:application/partial-upload\ncontent-length:10\n"
        f"content-digest:sha-256=:{_SHA256}:", *UPLOAD_WORDS),
]  # fmt: skip


# --- structured fields, tokens, other fields --------------------------------------------------------------------


def read_structured(data: bytes) -> None:
    """What does not parse is None."""
    text = _text(data)
    read_item(text)
    if read_dictionary(text) is None:
        raise InvalidRequest("no dictionary")
    read_digests(text, "Repr-Digest")


STRUCTURED_SEEDS = [
    text_seed(text[:12], text, "?0", "?1", ":", '"', "\\", "(", ")", ";", "=", ",", "@", "%", '%"', *NUMBERS)
    for text in (f"sha-256=:{_SHA256}:, a=1.5;q=?0, b=(1 2 \"x\");y", '"text \\"quoted\\"";a=1', "min-size=0,max-size=999", "@1659578233;a=:AA==:")
]  # fmt: skip


def read_token(data: bytes) -> None:
    """Every text but the two that were signed is refused, whoever asks."""
    text = _text(data)
    said = signatures.read(text)
    if text not in SIGNED:
        signatures.verify(text, KEYS, now=NOW, asset_id=said.asset_id)
        raise AssertionError("a token that nobody signed is taken")


SIGNED = [signatures.sign(TOKEN, KEY), signatures.sign(FULL, KEY)]
TOKEN_SEEDS = [
    *(text_seed(f"token {place}", text, "=", "-", "_", "+", "/", "A", "%41", "..") for place, text in enumerate(SIGNED)),
]  # fmt: skip


def read_payload(data: bytes) -> None:
    """The same below base64, so that what is said changes and not only how."""
    read_token(base64.urlsafe_b64encode(data).rstrip(b"="))


PAYLOAD_SEEDS = [
    Seed(
        f"payload {place}",
        raw,
        [(0, len(raw) - 32)],
        [(0, 1), (1, 4), (4, 31)],
        [ASSET.encode(), b"k1", b"k2"],
    )
    for place, raw in enumerate(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) for text in SIGNED)
]


def read_others(data: bytes) -> None:
    """Fields that settings, proxies and callers write; what they are refused with is a ValueError or of the table."""
    text = _text(data)
    parse_disposition(text)
    name = clean_filename(text)
    assert "/" not in name
    assert "\0" not in name
    household(client_address("127.0.0.1", text, read_networks("127.0.0.1,::1")))
    signatures.read_keys(f"k1:{'A' * 43}")
    for read in (signatures.read_keys, origins.read_origins, read_networks, webhook_targets.read_target):
        try:
            read(text)
        except (ValueError, MediaServiceError):
            continue


OTHER_SEEDS = [
    text_seed(text[:12], text, "/", "..", "@", ":", "[", "]", "%", "#", "?", "::ffff:", "127.0.0.1", "\0", "\u202e", "*", *NUMBERS)
    for text in ("https://user:pw@example.org:8443/hook?x=1#y", "http://[::ffff:10.0.0.1]:80/", "10.0.0.1, 192.168.0.0/16, ::1/64",
                 f"k1:{'A' * 43},k2:{'B' * 43}=", "attachment; filename=\"a/b\\\\c.mp4\"; filename*=UTF-8''..%2F..%2Fetc")
]  # fmt: skip

TARGETS = [
    Target("ranges", RANGE_SEEDS, read_range, (RangeNotSatisfiable,), most_bytes=MOST_BYTES),
    Target("conditions", CONDITION_SEEDS, read_conditions, (), most_bytes=MOST_BYTES),
    Target("forms", FORM_SEEDS, read_form, (MalformedForm,), most_bytes=MOST_BYTES),
    Target("uploads", UPLOAD_SEEDS, read_upload, most_bytes=MOST_BYTES),
    Target("structured fields", STRUCTURED_SEEDS, read_structured, (InvalidRequest,), most_bytes=MOST_BYTES),
    Target("tokens", TOKEN_SEEDS, read_token, most_bytes=MOST_BYTES),
    Target("token payloads", PAYLOAD_SEEDS, read_payload, most_bytes=MOST_BYTES),
    Target("other fields", OTHER_SEEDS, read_others, most_bytes=MOST_BYTES),
]
