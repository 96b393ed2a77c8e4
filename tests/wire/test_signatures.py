from __future__ import annotations

import base64
import hmac
import random
import string
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import MediaServiceError, TokenExpired, TokenInvalid, TokenNotYet
from media_service.wire.signatures import (
    MAX_CHARS,
    MAX_HEIGHT,
    MAX_NUMBER,
    PlaybackToken,
    read,
    read_keys,
    sign,
    verify,
)
from tests.wire.tokens import ASSET, FULL, KEY, KEYS, NOW, TOKEN

TEXT = sign(TOKEN, KEY)
FULL_TEXT = sign(FULL, KEY)
ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"  # by value

TOKENS = st.builds(
    lambda expires_at, before, **others: PlaybackToken(
        expires_at=expires_at, not_before=None if before is None else before % expires_at, **others
    ),
    asset_id=st.from_regex(r"[a-z0-9]{1,64}", fullmatch=True),
    key_id=st.from_regex(r"[a-z0-9-]{1,16}", fullmatch=True),
    expires_at=st.integers(1, MAX_NUMBER),
    before=st.none() | st.integers(0, MAX_NUMBER),
    window=st.none()
    | st.lists(st.integers(0, MAX_NUMBER), min_size=2, max_size=2, unique=True).map(
        lambda times: (min(times), max(times))
    ),
    max_height=st.none() | st.integers(1, MAX_HEIGHT),
)


def checked(text: str, *, now: float = NOW, asset_id: str = ASSET) -> PlaybackToken:
    return verify(text, KEYS, now=now, asset_id=asset_id)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def payload_of(text: str) -> bytes:
    return decoded(text)[:-32]


def signed(payload: bytes, key: bytes = KEY) -> str:
    """A text whose signature is right, whatever the payload is."""
    return encoded(payload + hmac.digest(key, b"media_service playback v1" + payload, "sha256"))


# --- what is valid ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("token", "text"), [(TOKEN, TEXT), (FULL, FULL_TEXT)])
def test_what_was_signed_verifies_and_says_the_same(token: PlaybackToken, text: str) -> None:
    assert checked(text) == token
    assert read(text) == token


@given(TOKENS, st.binary(min_size=32, max_size=80))
def test_every_token_is_read_as_it_was_signed(token: PlaybackToken, key: bytes) -> None:
    text = sign(token, key)

    assert verify(text, {token.key_id: key}, now=token.expires_at - 1, asset_id=token.asset_id) == token
    assert len(text) <= MAX_CHARS
    assert quote(text, safe="") == text


def test_the_longest_token_fits_a_file_name() -> None:
    longest = PlaybackToken(
        asset_id="z" * 64,
        expires_at=MAX_NUMBER,
        key_id="z" * 16,
        not_before=MAX_NUMBER - 1,
        window=(MAX_NUMBER - 1, MAX_NUMBER),
        max_height=MAX_HEIGHT,
    )

    assert len(sign(longest, KEY)) == 179
    assert len(TEXT) == 91


def test_the_bytes_are_those_of_the_document() -> None:
    names = b"\x02k1" + b"\x1a" + ASSET.encode()
    time = (NOW + 3600).to_bytes(4, "big")
    begin = (NOW - 60).to_bytes(4, "big")
    window = (30_000).to_bytes(4, "big") + (90_000).to_bytes(4, "big")

    assert signed(b"\x01" + names + time + b"\x00") == TEXT
    assert signed(b"\x01" + names + time + b"\x07" + begin + window + (720).to_bytes(2, "big")) == FULL_TEXT


@pytest.mark.parametrize("name", ["k1", "k2"])
def test_every_key_verifies_what_it_signed(name: str) -> None:
    token = PlaybackToken(asset_id=ASSET, expires_at=NOW + 1, key_id=name)

    assert checked(sign(token, KEYS[name])) == token


@pytest.mark.parametrize(
    ("now", "error"),
    [
        (0, TokenNotYet),
        (NOW - 61, TokenNotYet),
        (NOW - 60.001, TokenNotYet),
        (NOW - 60, None),
        (NOW + 3599, None),
        (NOW + 3599.999, None),
        (NOW + 3600, TokenExpired),
        (NOW + 3601, TokenExpired),
        (1 << 40, TokenExpired),
    ],
)
def test_a_token_has_its_time(now: float, error: type[MediaServiceError] | None) -> None:
    if error is None:
        assert checked(FULL_TEXT, now=now) == FULL
    else:
        with pytest.raises(error):
            checked(FULL_TEXT, now=now)


def test_the_time_of_what_was_never_signed_is_not_told() -> None:
    expired = PlaybackToken(asset_id=ASSET, expires_at=NOW - 1, key_id="k1")

    with pytest.raises(TokenExpired):
        checked(sign(expired, KEY))
    with pytest.raises(TokenInvalid, match="signature"):
        checked(sign(expired, KEYS["k2"]))
    with pytest.raises(TokenInvalid, match="another asset"):
        checked(sign(expired, KEY), asset_id="other")


# --- what is not --------------------------------------------------------------------------------------------------


def _other_alphabet() -> str:
    """A valid token with - and _ in it, in the alphabet of RFC 4648 s4."""
    tokens = (PlaybackToken(asset_id=ASSET, expires_at=NOW + n, key_id="k1") for n in range(1, 1000))
    text = next(text for text in (sign(token, KEY) for token in tokens) if "-" in text and "_" in text)
    assert checked(text).asset_id == ASSET
    return text.replace("-", "+").replace("_", "/")


REFUSED: dict[str, str] = {
    "none": "",
    "no token": "media",
    "dot segments": "../../api/v1/assets",
    "encoded dot segments": "..%2f..%2f" + TEXT,
    "other key": sign(TOKEN, KEYS["k2"]),
    "unknown key": sign(PlaybackToken(asset_id=ASSET, expires_at=NOW + 1, key_id="k3"), KEY),
    "key with the context left out": encoded(payload_of(TEXT) + hmac.digest(KEY, payload_of(TEXT), "sha256")),
    "no signature": encoded(payload_of(TEXT)),
    "a signature of nothing": signed(b""),
    "a signature of zeros": encoded(payload_of(TEXT) + bytes(32)),
    "encoded once more": encoded(TEXT.encode()),
    "percent-encoded": "".join(f"%{ord(char):02X}" for char in TEXT),
    "percent-encoded in one place": f"%{ord(TEXT[0]):02X}{TEXT[1:]}",
    "percent-encoded twice": f"%25{ord(TEXT[0]):02X}{TEXT[1:]}",
    "padding": TEXT + "=",
    "more padding": TEXT + "==",
    "four more": TEXT + "====",
    "other alphabet": _other_alphabet(),
    "letters of other scripts": TEXT.translate({ord("A"): "\u0410", ord("0"): "\u0660"}),
    "full width": "".join(chr(ord(char) + 0xFEE0) for char in TEXT),
    "a space before": " " + TEXT,
    "a space behind": TEXT + " ",
    "a line end": TEXT + "\n",
    "a line end inside": TEXT[:40] + "\r\n" + TEXT[40:],
    "a zero byte": TEXT + "\0",
    "a lone surrogate": TEXT[:-1] + "\ud800",
    "lower case": TEXT.lower(),
    "a path behind": TEXT + "/media",
    "two tokens": TEXT + TEXT,
    "two tokens with a dot": f"{TEXT}.{TEXT}",
    "a JSON web token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
    "other version": signed(b"\x02" + payload_of(TEXT)[1:]),
    "unknown flag": signed(payload_of(TEXT)[:-1] + b"\x08"),
    "all flags": signed(payload_of(FULL_TEXT).replace(b"\x07", b"\xff")),
    "flag without its field": signed(payload_of(TEXT)[:-1] + b"\x01"),
    "field without its flag": signed(payload_of(TEXT) + bytes(4)),
    "a byte behind": signed(payload_of(FULL_TEXT) + b"\0"),
    "no key id": signed(b"\x01\x00" + payload_of(TEXT)[4:]),
    "no asset id": signed(b"\x01\x02k1\x00" + payload_of(TEXT)[-5:]),
    "an id that is longer than the token": signed(b"\x01\x02k1\xff" + payload_of(TEXT)[5:]),
    "an id in capitals": signed(payload_of(TEXT).replace(ASSET.encode(), ASSET.upper().encode())),
    "an id with a slash": signed(payload_of(TEXT).replace(ASSET.encode(), b"../../" + ASSET[6:].encode())),
    "an id that is not ASCII": signed(payload_of(TEXT).replace(ASSET.encode(), b"\xe4" * 26)),
    "begins when it ends": signed(payload_of(TEXT)[:-1] + b"\x01" + (NOW + 3600).to_bytes(4, "big")),
    "an empty window": signed(payload_of(TEXT)[:-1] + b"\x02" + bytes(3) + b"\x01" + bytes(3) + b"\x01"),
    "a window backwards": signed(payload_of(TEXT)[:-1] + b"\x02" + bytes(3) + b"\x02" + bytes(3) + b"\x01"),
    "no height": signed(payload_of(TEXT)[:-1] + b"\x04\0\0"),
    "256 characters": TEXT + "A" * (256 - len(TEXT)),
    "huge": "A" * 10_000_000,
    "huge and of nothing": "%" * 10_000_000,
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_anything_else_is_no_token(text: str) -> None:
    with pytest.raises(TokenInvalid) as caught:
        checked(text)

    assert len(caught.value.detail) < 200
    assert not text or text not in caught.value.detail  # it goes to logs


def test_a_token_opens_its_own_asset_only() -> None:
    for other in ("", "a", ASSET[:-1], ASSET + "a", ASSET.upper(), ASSET + "/", ASSET + "\0"):
        with pytest.raises(TokenInvalid, match="another asset"):
            checked(TEXT, asset_id=other)


@pytest.mark.parametrize("text", [TEXT, FULL_TEXT])
def test_a_token_cut_off_anywhere_is_refused(text: str) -> None:
    for length in range(len(text)):
        for part in (text[:length], text[-length:] if length else ""):
            with pytest.raises(TokenInvalid):
                checked(part)


@pytest.mark.parametrize("text", [TEXT, FULL_TEXT])
def test_a_payload_cut_off_anywhere_is_refused_even_if_it_is_signed(text: str) -> None:
    payload = payload_of(text)
    for length in range(len(payload)):
        with pytest.raises(TokenInvalid):
            read(signed(payload[:length]))


@pytest.mark.parametrize("text", [TEXT, FULL_TEXT])
def test_a_token_with_anything_behind_it_is_refused(text: str) -> None:
    for char in map(chr, range(256)):
        for count in (1, 2, 3, 4):
            with pytest.raises(TokenInvalid):
                checked(text + char * count)


@pytest.mark.parametrize("text", [TEXT, FULL_TEXT])
def test_a_token_edited_at_any_character_is_refused(text: str) -> None:
    for place, was in enumerate(text):
        for char in (*ALPHABET, *"+/=.%~ \n\0é"):
            if char != was:
                with pytest.raises(TokenInvalid):
                    checked(text[:place] + char + text[place + 1 :])


def test_bits_behind_the_end_are_refused_though_the_bytes_are_right() -> None:
    # 68 bytes are 90 characters and two thirds of one: its last two bits say nothing.
    last = ALPHABET.index(TEXT[-1])
    twins = [TEXT[:-1] + ALPHABET[last ^ bits] for bits in (1, 2, 3)]

    assert {decoded(twin) for twin in twins} == {decoded(TEXT)}
    for twin in twins:
        with pytest.raises(TokenInvalid, match="base64url"):
            checked(twin)


def test_ten_thousand_tokens_with_flipped_bits_never_verify() -> None:
    chance = random.Random(5)
    for _ in range(10_000):
        data = bytearray(decoded(chance.choice((TEXT, FULL_TEXT))))
        for _flip in range(chance.choice((1, 1, 1, 2, 8))):
            data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
        text = encoded(bytes(data))
        if text not in {TEXT, FULL_TEXT}:  # two flips of one byte may undo each other
            with pytest.raises(TokenInvalid):
                checked(text)


def test_ten_thousand_tokens_with_changed_characters_never_verify() -> None:
    chance = random.Random(6)
    changes: tuple[Callable[[str, int, int], str], ...] = (
        lambda text, at, _: text[:at] + chr(chance.randrange(256)) + text[at + 1 :],
        lambda text, at, _: text[:at] + chance.choice(ALPHABET) + text[at:],
        lambda text, at, to: text[:at] + text[to:],
        lambda text, at, to: text[:at] + text[to:] + text[at:to],
        lambda text, at, _: text[:at] + text[at:].swapcase(),
    )
    for _ in range(10_000):
        text = was = chance.choice((TEXT, FULL_TEXT))
        for _change in range(chance.choice((1, 1, 3))):
            at, to = sorted(chance.choices(range(len(text) or 1), k=2))
            text = chance.choice(changes)(text, at, to)
        if text != was:
            with pytest.raises(TokenInvalid):
                checked(text)


@given(st.text(st.characters(codec=None)) | st.text(ALPHABET, min_size=60, max_size=MAX_CHARS))
def test_any_text_is_refused_with_an_error_of_the_table(text: str) -> None:
    with pytest.raises(TokenInvalid):
        checked(text)


@given(st.binary(max_size=140) | st.binary(max_size=100).map(lambda rest: b"\x01\x02k1\x01a" + rest))
def test_whatever_is_signed_is_refused_or_has_no_second_form(payload: bytes) -> None:
    text = signed(payload)
    with suppress(TokenInvalid):
        assert sign(read(text), KEY) == text


# --- what no token can say ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        {"asset_id": ""},
        {"asset_id": "A"},
        {"asset_id": "a/b"},
        {"asset_id": "a\n"},
        {"asset_id": "a" * 65},
        {"key_id": ""},
        {"key_id": "K"},
        {"key_id": "k_1"},
        {"key_id": "k" * 17},
        {"expires_at": -1},
        {"expires_at": MAX_NUMBER + 1},
        {"expires_at": 0, "not_before": 0},
        {"not_before": -1},
        {"not_before": NOW + 3600},
        {"window": (-1, 1)},
        {"window": (1, 1)},
        {"window": (2, 1)},
        {"window": (0, MAX_NUMBER + 1)},
        {"max_height": 0},
        {"max_height": MAX_HEIGHT + 1},
    ],
    ids=str,
)
def test_what_no_token_can_say_is_never_signed(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        PlaybackToken(**{"asset_id": ASSET, "expires_at": NOW + 3600, "key_id": "k1", **said})


# --- keys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", []),
        (" \n", []),
        (f"k1:{encoded(KEY)}", ["k1"]),
        (f"2026-11:{encoded(KEY)},2026-05:{encoded(KEY)}", ["2026-11", "2026-05"]),
        (f" b:{encoded(KEY)} ,\n a:{encoded(KEY)}\n", ["b", "a"]),
        (f"k1:{encoded(KEY)}=", ["k1"]),  # as `openssl rand -base64 32 | tr +/ -_` makes it
    ],
)
def test_keys_are_read_in_their_order(text: str, keys: list[str]) -> None:
    assert list(read_keys(text).items()) == [(name, KEY) for name in keys]


SECRET = encoded(KEY)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SECRET, "entry 1"),
        (f":{SECRET}", "entry 1"),
        (f"K:{SECRET}", "entry 1"),
        (f"k 1:{SECRET}", "entry 1"),
        (f"{'k' * 17}:{SECRET}", "entry 1"),
        (f"{SECRET}:k1", "entry 1"),
        (f"k1:{SECRET},", "entry 2"),
        (f",k1:{SECRET}", "entry 1"),
        (f"k1:{SECRET},k1:{SECRET}", "'k1' stands there twice"),
        (f"k1:{SECRET}k2:{SECRET}", "'k1' is not base64url"),
        (f"k1: {SECRET}", "'k1' is not base64url"),
        (f"k1:{SECRET[:-1]}9", "'k1' is not base64url"),
        ("k1:" + "+" * 44, "'k1' is not base64url"),
        ("k1:" + "é" * 44, "'k1' is not base64url"),
        (f"k1:{SECRET}A=A", "'k1' is not base64url"),
        ("k1:", "'k1' has 0 bytes; 32 are needed"),
        (f"k1:{encoded(KEY[:31])}", "'k1' has 31 bytes; 32 are needed"),
    ],
)
def test_other_keys_are_refused_without_being_told(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        read_keys(text)

    assert SECRET not in str(caught.value)


@given(st.text(st.characters(codec=None)) | st.text([*"k1:,=-_AQ \n"]))
def test_any_text_is_keys_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert all(len(key) >= 32 for key in read_keys(text).values())
