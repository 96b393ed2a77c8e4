"""Playback tokens: whoever holds one may play one asset until a time. All that decides it stands in the token itself.

    token   = base64url(payload, signature), without padding (RFC 4648 s5)
    payload = version (1 byte: 1), key id (1 byte of length, text), asset id (1 byte of length, text),
              expires_at (4), flags (1), not_before (4) if flag 1, t0 and t1 (4 each) if flag 2, max_height (2) if flag 4
    signature = HMAC-SHA256(key, "media_service playback v1", payload) (RFC 2104)

Numbers are unsigned and big-endian. One token has exactly one text: what could be written in two ways is refused in all
but one, so that nobody can make a second address out of a first. `docs/signed-playback.md` says the same for others.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from media_service.errors import TokenExpired, TokenInvalid, TokenNotYet

MAX_CHARS = 255  # of a token, as many as a file's name may have: proxies and players bear that in a path
MIN_KEY_BYTES = 32  # as long as the signature: shorter ones make it weaker (RFC 2104 s3)
MAX_NUMBER = (1 << 32) - 1  # seconds until the year 2106, or milliseconds of 49 days
MAX_HEIGHT = (1 << 16) - 1

_VERSION = 1
_CONTEXT = b"media_service playback v1"  # a key that also signs something else signs no token by that
_SIGNATURE_BYTES = 32
_NOT_BEFORE, _WINDOW, _MAX_HEIGHT = 1, 2, 4  # flags
_KEY_ID = re.compile(r"[a-z0-9-]{1,16}")
_ASSET_ID = re.compile(r"[a-z0-9]{1,64}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackToken:
    """What a token says. Valid from `not_before` on (Unix s) and before `expires_at`.

    `window`: the part [t0, t1) of the film, in milliseconds. `max_height`: of the pictures, in pixels on the short side.
    Raises ValueError, with a sentence, for what no token can say.
    """

    asset_id: str
    expires_at: int
    key_id: str
    not_before: int | None = None
    window: tuple[int, int] | None = None
    max_height: int | None = None

    def __post_init__(self) -> None:
        if not _KEY_ID.fullmatch(self.key_id):
            raise ValueError("A key id is 1 to 16 characters of a-z, 0-9 and -.")
        if not _ASSET_ID.fullmatch(self.asset_id):
            raise ValueError("An asset id is 1 to 64 characters of a-z and 0-9.")
        if not 0 <= self.expires_at <= MAX_NUMBER:
            raise ValueError(f"expires_at is a number of seconds from 0 to {MAX_NUMBER}.")
        if self.not_before is not None and not 0 <= self.not_before < self.expires_at:
            raise ValueError("not_before is a number of seconds from 0 on, and less than expires_at.")
        if self.window is not None and not 0 <= self.window[0] < self.window[1] <= MAX_NUMBER:
            raise ValueError(
                f"A window is two numbers of milliseconds from 0 to {MAX_NUMBER}, t0 less than t1."
            )
        if self.max_height is not None and not 1 <= self.max_height <= MAX_HEIGHT:
            raise ValueError(f"max_height is a number of pixels from 1 to {MAX_HEIGHT}.")


def sign(token: PlaybackToken, key: bytes) -> str:
    """The token's text, for URLs. `key` is the one that `token.key_id` names."""
    payload = _build_payload(token)
    return _encode(payload + _signature(payload, key))


def read(text: str) -> PlaybackToken:
    """What a token says that nobody has verified: anybody may have written it. Raises TokenInvalid."""
    return _read_payload(_split(text)[0])


def verify(text: str, keys: Mapping[str, bytes], *, now: float, asset_id: str) -> PlaybackToken:
    """What the token says, if one of `keys` has signed it for that asset and `now` (Unix s) is its time.

    Raises TokenInvalid, TokenNotYet, TokenExpired.
    """
    payload, signature = _split(text)
    token = _read_payload(payload)
    key = keys.get(token.key_id)
    if key is None:
        raise TokenInvalid(f"The key {token.key_id!r} is not known here.")
    # In constant time: the time must not tell how many bytes of a guess were right.
    if not hmac.compare_digest(signature, _signature(payload, key)):
        raise TokenInvalid("The token's signature is wrong.")
    if token.asset_id != asset_id:
        raise TokenInvalid("The token is for another asset.")
    if token.not_before is not None and now < token.not_before:
        raise TokenNotYet("The token's time has not begun.")
    if now >= token.expires_at:
        raise TokenExpired("The token's time is over.")
    return token


def read_keys(text: str) -> dict[str, bytes]:
    """Keys by their ids from `id:base64url,id2:...`, in this order: the first signs, all verify. None of an empty text.

    Raises ValueError that names the entry and never the key.
    """
    keys: dict[str, bytes] = {}
    for number, entry in enumerate(text.split(",") if text.strip() else (), 1):
        key_id, colon, encoded = entry.strip().partition(":")
        if not colon or not _KEY_ID.fullmatch(key_id):
            raise ValueError(
                f"entry {number} does not begin with an id (1 to 16 characters of a-z, 0-9 and -) and a colon"
            )
        if key_id in keys:
            raise ValueError(f"the id {key_id!r} stands there twice")
        try:
            # Most tools that make base64 pad it; a key is no token, and has no address to be written in two ways.
            key = _decode(encoded.rstrip("="))
        except ValueError:
            raise ValueError(f"the key {key_id!r} is not base64url") from None
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"the key {key_id!r} has {len(key)} bytes; {MIN_KEY_BYTES} are needed")
        keys[key_id] = key
    return keys


def _signature(payload: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _CONTEXT + payload, "sha256")


def _build_payload(token: PlaybackToken) -> bytes:
    flags, optional = 0, b""
    if token.not_before is not None:
        flags |= _NOT_BEFORE
        optional += token.not_before.to_bytes(4, "big")
    if token.window is not None:
        flags |= _WINDOW
        optional += b"".join(time.to_bytes(4, "big") for time in token.window)
    if token.max_height is not None:
        flags |= _MAX_HEIGHT
        optional += token.max_height.to_bytes(2, "big")
    names = b"".join(bytes([len(name)]) + name.encode() for name in (token.key_id, token.asset_id))
    return bytes([_VERSION]) + names + token.expires_at.to_bytes(4, "big") + bytes([flags]) + optional


def _read_payload(payload: bytes) -> PlaybackToken:
    fields = _Fields(payload)
    if fields.number(1) != _VERSION:
        _refuse("it is of another version")
    key_id, asset_id = fields.name(), fields.name()
    expires_at, flags = fields.number(4), fields.number(1)
    if flags & ~(_NOT_BEFORE | _WINDOW | _MAX_HEIGHT):
        _refuse("it has flags that are not known here")
    try:
        token = PlaybackToken(
            key_id=key_id,
            asset_id=asset_id,
            expires_at=expires_at,
            not_before=fields.number(4) if flags & _NOT_BEFORE else None,
            window=(fields.number(4), fields.number(4)) if flags & _WINDOW else None,
            max_height=fields.number(2) if flags & _MAX_HEIGHT else None,
        )
    except ValueError as error:
        raise TokenInvalid(f"The token says what none can say. {error}") from error
    fields.end()
    return token


class _Fields:
    """A payload from its start to its end. Methods raise TokenInvalid when it ends elsewhere than it says."""

    def __init__(self, payload: bytes) -> None:
        self._rest = payload

    def number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def name(self) -> str:
        # What is not ASCII fits no name; it is refused with the other ones.
        return self._take(self.number(1)).decode("latin-1")

    def end(self) -> None:
        if self._rest:
            _refuse("it goes on behind its end")

    def _take(self, size: int) -> bytes:
        if len(self._rest) < size:
            _refuse("it is cut off")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def _split(text: str) -> tuple[bytes, bytes]:
    """Payload and signature. Raises TokenInvalid."""
    if len(text) > MAX_CHARS:
        _refuse(f"it is longer than {MAX_CHARS} characters")
    try:
        data = _decode(text)
    except ValueError:
        _refuse("it is not base64url without padding")
    return data[:-_SIGNATURE_BYTES], data[-_SIGNATURE_BYTES:]


def _refuse(reason: str) -> NoReturn:
    raise TokenInvalid(f"This is no playback token: {reason}.")


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    """Base64url without padding, in the one form that there is of it (RFC 4648 s3.5). Raises ValueError."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("another alphabet")
    data = urlsafe_b64decode(
        text + "=" * (-len(text) % 4)
    )  # binascii.Error, a ValueError, of one character too many
    if _encode(data) != text:
        raise ValueError("bits behind the end")
    return data
