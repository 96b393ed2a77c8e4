"""If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since and If-Range (RFC 9110 s13), as pure functions.

Field values that do not parse are read on the safe side: a malformed list of entity-tags matches nothing (so If-Match
refuses and If-None-Match sends), an invalid date is ignored (s13.1.3, s13.1.4), an invalid If-Range sends the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from media_service.wire.representation import Representation

Fields = Mapping[str, Sequence[str]]
"""Request fields: lower-case name -> the values of its lines, in order, without white space around them."""

MAX_DATE_CHARS = 40  # the longest HTTP-date is "Wednesday, 09-Nov-94 08:49:37 GMT", 33

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHORT_DAYS = tuple(day[:3] for day in _DAYS)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Verdict(Enum):
    """What the preconditions say about a request."""

    PROCEED = "proceed"
    NOT_MODIFIED = "not modified"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class EntityTag:
    """An entity-tag (s8.8.3): the opaque part without quotes, and whether `W/` stood before it."""

    opaque: str
    weak: bool = False


def evaluate(fields: Fields, representation: Representation) -> Verdict:
    """Steps 1 to 4 of s13.2.2 for GET and HEAD. Range and If-Range come after it, and only on PROCEED."""
    if (tags := fields.get("if-match")) is not None:
        if not _matches(tags, representation, weakly=False):
            return Verdict.FAILED
    elif _is_changed_since(fields.get("if-unmodified-since"), representation) is True:
        return Verdict.FAILED
    if (tags := fields.get("if-none-match")) is not None:
        if _matches(tags, representation, weakly=True):
            return Verdict.NOT_MODIFIED
    elif _is_changed_since(fields.get("if-modified-since"), representation) is False:
        return Verdict.NOT_MODIFIED
    return Verdict.PROCEED


def range_applies(fields: Fields, representation: Representation) -> bool:
    """Step 5 of s13.2.2: whether If-Range, if there is one, lets the Range header count (s13.1.5).

    A date must be equal, not "later": and it is a strong validator here (s8.8.2.2), because a representation's bytes
    never change under its name within a second.
    """
    values = fields.get("if-range")
    if values is None:
        return True
    if len(values) != 1:
        return False
    if values[0] == build_tag(EntityTag(representation.etag)):  # strong comparison: W/ never matches
        return True
    modified = representation.last_modified
    return modified is not None and parse_date(values[0], near=modified) == modified


def _matches(values: Sequence[str], representation: Representation, *, weakly: bool) -> bool:
    """Whether the tag list of If-Match (strong comparison) or If-None-Match (weak) names the representation."""
    value = ", ".join(values)  # lines of a list field are one list (s5.3)
    if value == "*":
        return True
    tags = parse_tags(value) or ()
    return any(tag.opaque == representation.etag and (weakly or not tag.weak) for tag in tags)


def _is_changed_since(values: Sequence[str] | None, representation: Representation) -> bool | None:
    """Whether the representation is younger than the date; None when there is no such date or no age to compare."""
    modified = representation.last_modified
    if values is None or len(values) != 1 or modified is None:
        return None
    date = parse_date(values[0], near=modified)
    return None if date is None else modified > date


def parse_tags(value: str) -> tuple[EntityTag, ...] | None:
    """The members of a list of entity-tags; None when it is not one. Empty members are skipped (s5.6.1.2)."""
    tags: list[EntityTag] = []
    position, after_tag = 0, False
    while position < len(value):
        if value[position] in " \t,":
            after_tag = after_tag and value[position] != ","
            position += 1
            continue
        weak = value.startswith("W/", position)  # case-sensitive (s8.8.3)
        opens = position + 2 if weak else position
        closes = value.find('"', opens + 1)
        if after_tag or closes < 0 or value[opens] != '"':
            return None
        opaque = value[opens + 1 : closes]
        if any(char < "!" or char == "\x7f" for char in opaque):
            return None
        tags.append(EntityTag(opaque, weak))
        position, after_tag = closes + 1, True
    return tuple(tags)


def build_tag(tag: EntityTag) -> str:
    """The tag as header text."""
    return f'{"W/" if tag.weak else ""}"{tag.opaque}"'


def parse_date(value: str, *, near: int) -> int | None:
    """An HTTP-date of any of the three forms (s5.6.7) in Unix seconds; None when it is none.

    The obsolete form with a two-digit year means the year within 50 years of `near` (Unix seconds): for a comparison
    with a known time that is as good as the clock, and needs none.
    """
    if len(value) > MAX_DATE_CHARS:
        return None
    match value.split(" "):
        case [day, date, month, year, time, "GMT"] if day[:-1] in _SHORT_DAYS and day[-1] == ",":
            return _timestamp(year, month, date, time)  # Sun, 06 Nov 1994 08:49:37 GMT
        case [day, dashed, time, "GMT"] if day[:-1] in _DAYS and day[-1] == "," and dashed.count("-") == 2:
            date, month, year = dashed.split("-")  # Sunday, 06-Nov-94 08:49:37 GMT
            return _timestamp(_full_year(year, near), month, date, time)
        case [day, month, "", date, time, year] if day in _SHORT_DAYS and len(date) == 1:
            return _timestamp(year, month, "0" + date, time)  # Sun Nov  6 08:49:37 1994
        case [day, month, date, time, year] if day in _SHORT_DAYS:
            return _timestamp(year, month, date, time)
    return None


def build_date(seconds: int) -> str:
    """Unix seconds as an IMF-fixdate (s5.6.7); no locale has a say in the names."""
    moment = datetime.fromtimestamp(seconds, UTC)
    day, month = _SHORT_DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02} {month} {moment.year:04} {moment:%H:%M:%S} GMT"


def _full_year(year: str, near: int) -> str:
    if not _is_digits(year, 2):
        return ""
    middle = datetime.fromtimestamp(near, UTC).year
    nearest = middle + (int(year) - middle + 49) % 100 - 49
    return f"{nearest:04}"


def _timestamp(year: str, month: str, date: str, time: str) -> int | None:
    clock = time.split(":")
    if month not in _MONTHS or len(clock) != 3 or not all(_is_digits(part, 2) for part in (date, *clock)):
        return None
    hour, minute, second = (int(part) for part in clock)
    if not _is_digits(year, 4) or second > 60:
        return None
    try:
        moment = datetime(int(year), _MONTHS.index(month) + 1, int(date), hour, minute, tzinfo=UTC)
    except ValueError:  # 31 February, 25 o'clock
        return None
    return int(moment.timestamp()) + second  # 60 is a leap second: the next one, to Unix


def _is_digits(text: str, count: int) -> bool:
    return len(text) == count and text.isascii() and text.isdigit()
