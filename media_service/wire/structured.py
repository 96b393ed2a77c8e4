"""Structured fields (RFC 9651) of requests, parsed by `http_sf`: what does not parse is None, never an exception."""

from __future__ import annotations

from http_sf import StructuredFieldError, parse

MAX_CHARS = 8192
"""Longest field that is looked at; the longest honest one, a dictionary of digests, has some hundred."""


def read_item(text: str) -> object:
    """The value of an Item (s3.3) without its parameters; None for anything else."""
    item = _parse(text, "item")
    return item[0] if isinstance(item, tuple) else None


def read_dictionary(text: str) -> dict[str, object] | None:
    """The members of a Dictionary (s3.2) without parameters, inner lists as lists; None when it is no Dictionary."""
    members = _parse(text, "dictionary")
    if not isinstance(members, dict):
        return None
    return {key: member[0] if isinstance(member, tuple) else member for key, member in members.items()}


def _parse(text: str, kind: str) -> object:
    if len(text) > MAX_CHARS:
        return None
    try:
        return parse(text.encode("utf-8", "surrogatepass"), tltype=kind)
    except StructuredFieldError:
        return None
