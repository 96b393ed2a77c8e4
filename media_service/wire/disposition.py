"""Content-Disposition: built for answers (RFC 6266, RFC 8187), read in forms (RFC 7578 s4.2).

A file's name is data that is shown to people. It is cleaned here, on its way in and on its way out, and never becomes
a path.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote_to_bytes

from media_service.errors import MalformedForm

MAX_FILENAME_BYTES = 255  # of UTF-8: what a directory entry can hold on every file system
MAX_EXTENSION_CHARS = 16  # a longer "extension" is no extension and may be cut with the rest

_ATTR_CHARS = "!#$&+-.^_`|~"  # RFC 8187 s3.2.1, besides letters and digits
# Controls, halves of surrogate pairs, line and paragraph separators: categories of Unicode.
_INVISIBLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Disposition:
    """What the header says of a form field; `filename` is clean, None when absent, "" when empty."""

    kind: str
    name: str | None
    filename: str | None


def content_disposition(kind: Literal["inline", "attachment"], filename: str) -> str:
    """The header's value: always ASCII, one line, whatever `filename` holds; just `kind` when nothing is left of it.

    A name that is not plain ASCII is sent twice: `filename*` for everyone, `filename` for those who do not know it.
    """
    name = "".join(_visible(char) for char in filename).strip()
    if not name:
        return kind
    plain = "".join(_plain(char) for char in name)
    value = f'{kind}; filename="{plain}"'
    return value if plain == name else f"{value}; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"


def ending_in(filename: str, extension: str) -> str:
    """The name with `extension` as its own: what is kept under it is opened as what it is, whatever it was called.

    An ending of up to four letters and digits gives way (film.html), anything longer is a part of the name.
    """
    stem, dot, old = filename.rpartition(".")
    if not (dot and stem and old.isascii() and old.isalnum() and len(old) <= 4):
        stem = filename
    elif old.lower() == extension:
        return filename
    return f"{stem}.{extension}"


def _visible(char: str) -> str:
    """The character; "_" for path separators, nothing for control characters and halves of surrogate pairs."""
    return "_" if char in "/\\" else "" if unicodedata.category(char) in _INVISIBLE else char


def _plain(char: str) -> str:
    # RFC 6266 appendix D: quotes and backslashes are escaped differently everywhere, "%" is decoded by some.
    return char if char.isascii() and char not in '"%' else "_"


def parse_disposition(value: str) -> Disposition:
    """The header of a form field. Raises MalformedForm when a quoted text in it has no end."""
    kind, parameters = parse_parameters(value)
    name = parameters.get("name")
    return Disposition(kind, None if name is None else _unescape(name), _filename(parameters))


def parse_parameters(value: str) -> tuple[str, dict[str, str]]:
    """`type; key=token; key="quoted"` as the lower-case type and its parameters; one pass, the first of a name wins."""
    kind, _, _ = value.partition(";")
    parameters: dict[str, str] = {}
    position = len(kind) + 1
    while position < len(value):
        equals = value.find("=", position)
        if equals < 0:
            break
        name = value[position:equals].strip("; \t").lower()
        position = equals + 1
        while position < len(value) and value[position] in " \t":
            position += 1
        if value.startswith('"', position):
            text, position = _quoted(value, position + 1)
        else:
            stop = value.find(";", position)
            stop = len(value) if stop < 0 else stop
            text, position = value[position:stop].strip(" \t"), stop
        parameters.setdefault(name, text)
    return kind.strip(" \t").lower(), parameters


def _quoted(value: str, position: int) -> tuple[str, int]:
    """A quoted-string from behind its opening quote: its text, and the place behind the closing quote.

    Only `\\"` and `\\\\` are escapes: old browsers send Windows paths with bare backslashes.
    """
    text: list[str] = []
    while position < len(value):
        char = value[position]
        if char == '"':
            return "".join(text), position + 1
        if char == "\\" and value[position + 1 : position + 2] in {'"', "\\"}:
            position += 1
            char = value[position]
        text.append(char)
        position += 1
    raise MalformedForm("A quoted text in a header has no end.")


def _filename(parameters: dict[str, str]) -> str | None:
    """The cleaned file name; `filename*` (RFC 8187) is not allowed in forms but sent by some, and wins if it decodes."""
    charset, _, rest = parameters.get("filename*", "").partition("'")
    _, mark, encoded = rest.partition("'")
    if mark and charset.lower() in {"utf-8", "iso-8859-1"}:
        try:
            return clean_filename(unquote_to_bytes(encoded).decode(charset))
        except UnicodeError:
            pass  # not what it claims to be: the plain name is the one to trust
    plain = parameters.get("filename")
    return None if plain is None else clean_filename(_unescape(plain))


def _unescape(text: str) -> str:
    """Undo what browsers do to names: only these three are escaped, "%" itself is not (WHATWG HTML s4.10.21.8)."""
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def clean_filename(name: str) -> str:
    """A name fit to be shown and stored as data: no directories, no control characters, at most 255 bytes of UTF-8.

    The extension survives the cut. What is nothing but dots or white space becomes "".
    """
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(
        char for char in name if unicodedata.category(char) not in _INVISIBLE and char not in _BIDI_CONTROLS
    )
    stem, dot, extension = name.strip().rpartition(".")
    if not stem or len(extension) > MAX_EXTENSION_CHARS:
        stem, dot, extension = name.strip(), "", ""
    ending = dot + extension
    stem = _cut(stem, MAX_FILENAME_BYTES - len(ending.encode()))
    return (stem + ending).strip() if (stem + ending).strip(". ") else ""


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode("utf-8", "ignore")  # "ignore" drops a character that was cut through
