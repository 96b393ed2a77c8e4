"""The Range header -> spans (RFC 9110 s14.1, s14.2).

Strategy: bound the input first, then split once, then decide. Every step is linear in the header's length, the one
regular expression too, and a number is made an `int` only after its digits were counted (`int()` of a long run raises).

The RFC leaves much open ("MAY ignore", "MAY coalesce"). What we chose is listed in docs/http.md as the house rules.
"""

from __future__ import annotations

import re

from media_service.errors import RangeNotSatisfiable
from media_service.wire.representation import Span

MAX_HEADER_CHARS = 8192
"""Longest Range header that is read; longer ones are ignored. Eight ranges of 20-digit numbers take 336 characters."""

MAX_RANGES = 8
"""Most ranges in one request; more are ignored (RFC 9110 s17.15). No player asks for two."""

MAX_DIGITS = 19
"""Longest number that is looked at; 10**19 bytes are more than any file has, so longer ones are only "beyond the end"."""

_BEYOND = 10**MAX_DIGITS
_PLAIN = re.compile(rf"bytes=([0-9]{{1,{MAX_DIGITS}}})-([0-9]{{0,{MAX_DIGITS}}})")


def parse(value: str, size: int) -> tuple[Span, ...] | None:
    """The spans that `value` selects of a representation of `size` bytes.

    Spans come in the order of the request; those that overlap or touch are one, at the place of the first of them.
    None means that the header is to be ignored: an unknown unit, no ranges-specifier at all, a flood, or several
    ranges that together are longer than the representation.

    Raises RangeNotSatisfiable when the unit is `bytes` and the set is invalid or no range of it lies within `size`.
    """
    if (plain := _plain(value, size)) is not None:
        return (plain,)
    if len(value) > MAX_HEADER_CHARS:
        return None
    unit, equals, ranges = value.strip(" \t").partition("=")
    if not equals or unit.strip(" \t").lower() != "bytes":
        return None
    specs = [spec for spec in (element.strip(" \t") for element in ranges.split(",")) if spec]
    if len(specs) > MAX_RANGES:
        return None
    if unit.lower() != "bytes" or not specs:  # "bytes =0-9", "bytes=,,"
        raise RangeNotSatisfiable("The Range header is not valid.")
    spans = [span for spec in specs if (span := _select(spec, size)) is not None]
    if not spans:
        raise RangeNotSatisfiable(f"The file has {size} bytes; the range begins beyond them.")
    if size == 0:
        return None  # "-5" of nothing is satisfiable, but Content-Range cannot say so (s14.4)
    if len(spans) > 1 and sum(span.size for span in spans) > size:
        return None  # never send a byte twice on one request's word (CVE-2011-3192)
    return _coalesce(spans)


def _plain(value: str, size: int) -> Span | None:
    """The span of what players send, `bytes=first-last` and `bytes=first-`, in a fifth of the time; None: look closer."""
    if (found := _PLAIN.fullmatch(value)) is None:
        return None
    first, last = found.groups()
    start = int(first)
    stop = int(last) + 1 if last else size
    stop = min(stop, size)
    return Span(start, stop) if start < stop else None


def _select(spec: str, size: int) -> Span | None:
    """The span of one range-spec; None when it is valid but selects nothing (s14.1.2)."""
    first, dash, last = spec.partition("-")
    if not dash or not _is_digits(first + last):  # the empty first or last leaves the other to be judged
        raise RangeNotSatisfiable("The Range header is not valid.")
    if not first:
        length = _number(last)
        return Span(max(0, size - length), size) if length else None
    start = _number(first)
    if last and _exceeds(first, last):
        raise RangeNotSatisfiable("The Range header is not valid: a range ends before it begins.")
    if start >= size:
        return None
    return Span(start, min(_number(last) + 1, size) if last else size)


def _is_digits(text: str) -> bool:
    # str.isdigit alone also takes "²" and Arabic digits.
    return text.isascii() and text.isdigit()


def _number(digits: str) -> int:
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= MAX_DIGITS else _BEYOND


def _exceeds(first: str, last: str) -> bool:
    """Whether `first` > `last`, exactly, for runs of digits of any length."""
    first, last = first.lstrip("0"), last.lstrip("0")
    return (len(first), first) > (len(last), last)


def _coalesce(spans: list[Span]) -> tuple[Span, ...]:
    """Join what overlaps or touches (MAY, s15.3.7.2); a joined span stands where its first member stood."""
    joined: list[tuple[int, Span]] = []
    for place, span in sorted(enumerate(spans), key=lambda placed: placed[1].start):
        if joined and span.start <= joined[-1][1].stop:
            before, left = joined[-1]
            joined[-1] = (min(before, place), Span(left.start, max(left.stop, span.stop)))
        else:
            joined.append((place, span))
    return tuple(span for _, span in sorted(joined, key=lambda placed: placed[0]))
