"""How the list of assets is walked and searched: the opaque cursor, and text folded for searching."""

from __future__ import annotations

import re
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from typing import NamedTuple, Self

from media_service import errors

_POSITION = re.compile(rb"([0-9]{1,16}):([A-Za-z0-9._-]{1,128})")
_MAX_FOLDED = 1000  # characters; SQLite refuses patterns above 50,000 bytes, and nobody types as much


class Position(NamedTuple):
    """Where a page ended: the last asset's place in the order of the list (newest first)."""

    created_at: int  # Unix ms
    id: str

    def encode(self) -> str:
        """The cursor: URL-safe, and opaque so that clients do not build their own."""
        return urlsafe_b64encode(f"{self.created_at}:{self.id}".encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, cursor: str) -> Self:
        """The position in a cursor. Raises InvalidRequest for anything that `encode` did not make."""
        try:
            found = _POSITION.fullmatch(urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
        except (NotBase64, UnicodeEncodeError):
            found = None
        if found is None:
            raise errors.InvalidRequest("The cursor is not one that this service gave out.")
        return cls(int(found[1]), found[2].decode())


def folded(*texts: str) -> str:
    """The texts as they are compared when searching: case and compatibility forms made equal (Unicode TR 15, TR 21)."""
    return "\n".join(unicodedata.normalize("NFKC", text).casefold()[:_MAX_FOLDED] for text in texts)
