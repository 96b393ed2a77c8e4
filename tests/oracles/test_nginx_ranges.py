"""A judge that is not us: nginx serves the same bytes with the same validators and is asked the same questions.

Every difference must be explained by one of RULES; each rule is described in docs/http.md ("Compared with nginx") and
must be met at least once, so that none outlives its reason.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection
from pathlib import Path
from random import Random

import pytest

from media_service.wire.delivery import plan
from media_service.wire.preconditions import build_date
from media_service.wire.representation import BlobExtent, Representation
from tests.oracles.nginx import serving
from tests.wire.content import MODIFIED, pattern, read, split_multipart

QUESTIONS = 6000
SIZES = (0, 1, 100, 1000, 5000)
DOCS = Path(__file__).parents[2] / "docs" / "http.md"


@dataclass(frozen=True)
class Question:
    """One request: `lines` are its header lines in order."""

    method: str
    size: int
    lines: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.lines if key == name]

    def has(self, *names: str) -> bool:
        return all(self.values(name) for name in names)

    @cached_property
    def specs(self) -> list[str]:
        """The elements of the Range header behind the unit, as they are."""
        _, _, ranges = ", ".join(self.values("Range")).partition("=")
        return [spec.strip(" \t") for spec in ranges.split(",")]

    @cached_property
    def dates(self) -> list[str]:
        return self.values("If-Modified-Since") + self.values("If-Unmodified-Since") + self.values("If-Range")


@dataclass(frozen=True)
class Answer:
    """One response, reduced to what is compared."""

    status: int
    content_type: str | None
    content_range: str | None
    content_length: str | None
    validators: tuple[str | None, str | None]
    body: bytes

    @cached_property
    def parts(self) -> list[tuple[str | None, bytes]]:
        """(Content-Range, bytes) of each part; of the whole when it is not multipart."""
        multipart = (self.content_type or "").startswith("multipart/byteranges")
        if self.content_type is None or not multipart or not self.body:  # HEAD: no body
            return [(self.content_range, self.body)]
        return [(part["content-range"], data) for part, data in split_multipart(self.body, self.content_type)]

    @cached_property
    def positions(self) -> set[int]:
        """Which bytes of the file a 206 holds."""
        found: set[int] = set()
        for content_range, _ in self.parts:
            match = re.fullmatch(r"bytes (\d+)-(\d+)/\d+", content_range or "")
            found.update(range(int(match[1]), int(match[2]) + 1) if match else ())
        return found


# --- the allowed differences ------------------------------------------------------------------------------------


def _error_content(_: Question, ours: Answer, theirs: Answer) -> bool:
    return ours.status == theirs.status >= 400 and ours.content_range == theirs.content_range


def _multipart_framing(_: Question, ours: Answer, theirs: Answer) -> bool:
    return ours.status == theirs.status == 206 and len(ours.parts) > 1 and ours.parts == theirs.parts


def _ranges_joined(_: Question, ours: Answer, theirs: Answer) -> bool:
    fewer = len(ours.parts) < len(theirs.parts)
    return ours.status == theirs.status == 206 and fewer and ours.positions == theirs.positions


def _head_ignores_range(asked: Question, ours: Answer, theirs: Answer) -> bool:
    return (
        asked.method == "HEAD"
        and asked.has("Range")
        and (ours.status, theirs.status) in {(200, 206), (200, 416)}
    )


def _white_space_in_range(asked: Question, ours: Answer, theirs: Answer) -> bool:
    spaced = any(re.search(r"[0-9-][ \t]+[0-9-]", spec) for spec in asked.specs)
    return spaced and (ours.status, theirs.status) == (416, 206)


def _backward_range_in_set(asked: Question, ours: Answer, theirs: Answer) -> bool:
    pairs = [spec.split("-") for spec in asked.specs if re.fullmatch(r"\d+-\d+", spec)]
    backward = any(int(first) > int(last) for first, last in pairs)
    return backward and len(asked.specs) > 1 and (ours.status, theirs.status) == (416, 206)


def _no_range_behind_the_unit(asked: Question, ours: Answer, theirs: Answer) -> bool:
    nothing = asked.values("Range") == ["bytes="] or asked.values("Range")[:1] == ["bytes =0-9"]
    return nothing and (ours.status, theirs.status) == (416, 200)


def _tab_before_range(asked: Question, ours: Answer, theirs: Answer) -> bool:
    return asked.values("Range")[:1] == ["bytes=\t0-9"] and (ours.status, theirs.status) == (206, 416)


def _empty_elements(asked: Question, ours: Answer, theirs: Answer) -> bool:
    return "" in asked.specs and (ours.status, theirs.status) == (206, 416)


def _numbers_beyond_63_bits(asked: Question, ours: Answer, theirs: Answer) -> bool:
    vast = any(int(number) >= 1 << 62 for spec in asked.specs for number in re.findall(r"\d+", spec))
    return vast and (ours.status, theirs.status) == (200 if asked.size == 0 else 206, 416)


def _empty_file(asked: Question, ours: Answer, theirs: Answer) -> bool:
    return asked.size == 0 and asked.has("Range") and (ours.status, theirs.status) == (416, 200)


def _too_many_ranges(asked: Question, ours: Answer, theirs: Answer) -> bool:
    """We count before we look; nginx counts what it found satisfiable."""
    return len(asked.specs) > 8 and (ours.status, theirs.status) in {(200, 206), (200, 416)}


def _range_twice(asked: Question, ours: Answer, theirs: Answer) -> bool:
    return len(asked.values("Range")) == 2 and ours.status == 200 and theirs.status in {206, 416}


def _date_beside_if_match(asked: Question, ours: Answer, theirs: Answer) -> bool:
    return asked.has("If-Match", "If-Unmodified-Since") and ours.status != 412 == theirs.status


def _date_beside_if_none_match(asked: Question, ours: Answer, theirs: Answer) -> bool:
    both = asked.has("If-None-Match", "If-Modified-Since")
    return both and ours.status == 304 and theirs.status in {200, 206, 416}


def _invalid_date_refuses(asked: Question, ours: Answer, theirs: Answer) -> bool:
    invalid = asked.values("If-Unmodified-Since") in ([GARBAGE_DATE], [""])
    return invalid and ours.status != 412 == theirs.status


def _loose_dates(asked: Question, ours: Answer, theirs: Answer) -> bool:
    """nginx does not read the zone: "UTC" and "+0000" pass for GMT, and so would "CET"."""
    loose = LOOSE_DATE in asked.dates
    allowed = {(200, 206), (200, 304), (206, 304), (416, 304), (200, 416)}
    return loose and (ours.status, theirs.status) in allowed


def _century(asked: Question, ours: Answer, theirs: Answer) -> bool:
    """Two-digit years up to 69 are 20xx to nginx, others 19xx; to us they are within 50 years."""
    if asked.values("If-Unmodified-Since") == [CENTURY_DATE]:
        return ours.status != 412 == theirs.status
    return asked.values("If-Modified-Since") == [CENTURY_DATE] and ours.status == 304 != theirs.status


def _malformed_tag_list(asked: Question, ours: Answer, theirs: Answer) -> bool:
    if_match, if_none_match = (
        any(re.search(r'^junk|"[^",]*" junk', value) for value in asked.values(name))
        for name in ("If-Match", "If-None-Match")
    )
    return (if_match and ours.status == 412 != theirs.status) or (
        if_none_match and ours.status != 304 == theirs.status
    )


RULES: dict[str, Callable[[Question, Answer, Answer], bool]] = {
    "error-content": _error_content,
    "multipart-framing": _multipart_framing,
    "ranges-joined": _ranges_joined,
    "head-ignores-range": _head_ignores_range,
    "white-space-in-range": _white_space_in_range,
    "backward-range-in-set": _backward_range_in_set,
    "no-range-behind-the-unit": _no_range_behind_the_unit,
    "tab-before-range": _tab_before_range,
    "empty-elements": _empty_elements,
    "numbers-beyond-63-bits": _numbers_beyond_63_bits,
    "empty-file": _empty_file,
    "too-many-ranges": _too_many_ranges,
    "range-twice": _range_twice,
    "date-beside-if-match": _date_beside_if_match,
    "date-beside-if-none-match": _date_beside_if_none_match,
    "invalid-date-refuses": _invalid_date_refuses,
    "loose-dates": _loose_dates,
    "century": _century,
    "malformed-tag-list": _malformed_tag_list,
}


# --- the questions ----------------------------------------------------------------------------------------------

GARBAGE_DATE = "yesterday"
LOOSE_DATE = build_date(MODIFIED).replace("GMT", "UTC")
CENTURY_DATE = "Friday, 20-Nov-72 00:00:00 GMT"
DATES = (
    *(build_date(MODIFIED + offset) for offset in (0, 0, 0, -1, 1, -3600, 3600)),
    "Thursday, 28-May-26 20:26:40 GMT",
    "Thu May 28 20:26:40 2026",
    GARBAGE_DATE,
    LOOSE_DATE,
    CENTURY_DATE,
    "",
)
ODD_RANGES = (
    "", "foo", "bytes", "bytes=", "bytes=,,", "bytes=-", "bytes=5", "bytes=a-b", "bytes=0-9x", "bytes=+0-9", "bytes=--1",
    "bytes =0-9", "bytes=0 - 9", "bytes= 0-9", "bytes=\t0-9", "bytes=0-9 , 20-29", "bytes=0-9,,20-29", "bytes=,0-9", "bytes=0-9,",
    "BYTES=0-9", "seconds=0-9", "none=0-1", "bytes=9-0", "bytes=0-9,5-4", "bytes=-0", "bytes=0-9,-0", "bytes=\u00b2-9",
    "bytes=0-9223372036854775807", "bytes=0-18446744073709551615", "bytes=18446744073709551621-18446744073709551625",
    "bytes=" + "0" * 40 + "-9", "bytes=0-" + "9" * 100, "bytes=-" + "9" * 30, "bytes=0-,0-", "bytes=0-,5-5,5-6,5-7",
    "bytes=" + ",".join(f"{i}-{i}" for i in range(0, 16, 2)), "bytes=" + ",".join(f"{i}-{i}" for i in range(0, 18, 2)),
    "bytes=0-0," + ",".join(["9000-"] * 8), "bytes=" + "5," * 9,
)  # fmt: skip


def _number(random: Random, size: int) -> int:
    return random.choice([0, 1, size - 1, size, size + 1, size // 2, random.randrange(size + 9)]) % (
        size + 20
    )


def _range(random: Random, size: int) -> str:
    if random.random() < 0.35:
        return random.choice(ODD_RANGES)
    specs: list[str] = []
    for _ in range(random.choice([1, 1, 1, 2, 2, 3, 8, 9])):
        first, last = sorted((_number(random, size), _number(random, size)))
        specs.append(random.choice([f"{first}-{last}", f"{first}-", f"-{last}", f"{first}-{first + 2}"]))
    return "bytes=" + random.choice([",", ", "]).join(specs)


def _tags(random: Random, tag: str) -> str:
    other = '"5f5e100-3e8"'
    return random.choice(
        [
            tag, tag, f"W/{tag}", other, "*", "", f"{other}, {tag}", f"{other} ,,\t{tag}", f"W/{other}, W/{tag}",
            tag.strip('"'), f"junk, {tag}", f"{other} junk, {tag}", f"{tag} junk", f"*, {other}",
        ]
    )  # fmt: skip


def _question(random: Random) -> Question:
    size = random.choice(SIZES)
    tag = f'"{MODIFIED:x}-{size:x}"'
    lines: list[tuple[str, str]] = []
    if random.random() < 0.85:
        lines.append(("Range", _range(random, size)))
        if random.random() < 0.04:
            lines.append(("Range", _range(random, size)))
    if random.random() < 0.3:
        lines.append(("If-Range", random.choice([_tags(random, tag), random.choice(DATES)])))
    for name, likely in (("If-Match", 0.15), ("If-None-Match", 0.15)):
        if random.random() < likely:
            lines.append((name, _tags(random, tag)))
    for name, likely in (("If-Modified-Since", 0.15), ("If-Unmodified-Since", 0.15)):
        if random.random() < likely:
            lines.append((name, random.choice(DATES)))
    random.shuffle(lines)
    return Question(random.choice(["GET"] * 8 + ["HEAD", "HEAD", "POST"]), size, tuple(lines))


# --- asking both ------------------------------------------------------------------------------------------------


def _ask_us(asked: Question) -> Answer:
    film = Representation(
        (BlobExtent("pattern", 0, asked.size),), "video/mp4", f"{MODIFIED:x}-{asked.size:x}", MODIFIED
    )
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in asked.lines]
    got = plan(asked.method, headers, film)
    found = {name.decode(): value.decode("latin-1") for name, value in got.headers}
    return _answer(got.status, found, read(got.extents()))


def _ask_nginx(asked: Question, connection: HTTPConnection) -> Answer:
    connection.putrequest(asked.method, f"/{asked.size}", skip_accept_encoding=True)
    for name, value in asked.lines:
        connection.putheader(name, value.encode("latin-1"))
    if asked.method == "POST":
        connection.putheader("Content-Length", "0")
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    if response.status >= 400:
        connection.close()  # nginx closes after a 412 or 416 without having said so; the next request opens anew
    return _answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def _answer(status: int, headers: dict[str, str], body: bytes) -> Answer:
    good = status < 400  # nginx keeps the validators off its error pages, as we do
    return Answer(
        status,
        headers.get("content-type") if status in {200, 206} else None,
        headers.get("content-range"),
        headers.get("content-length"),
        (headers.get("etag"), headers.get("last-modified")) if good else (None, None),
        body,
    )


@dataclass(frozen=True)
class Comparison:
    """What came of all the questions."""

    rules: Counter[str]
    statuses: Counter[int]
    unexplained: list[str]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comparison]:
    root, prefix = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("nginx")
    for size in SIZES:
        (root / str(size)).write_bytes(pattern(0, size))
        os.utime(root / str(size), (MODIFIED, MODIFIED))
    with serving(root, prefix) as port:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            yield _compare(connection)
        finally:
            connection.close()


def _compare(connection: HTTPConnection) -> Comparison:
    random = Random(9110)  # always the same questions
    rules: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    unexplained: list[str] = []
    for _ in range(QUESTIONS):
        asked = _question(random)
        ours, theirs = _ask_us(asked), _ask_nginx(asked, connection)
        statuses[ours.status] += 1
        if ours == theirs:
            rules["same"] += 1
            continue
        rule = next((name for name, explains in RULES.items() if explains(asked, ours, theirs)), None)
        if rule is None:
            unexplained.append(f"{asked}\n  ours   {ours}\n  theirs {theirs}")
        else:
            rules[rule] += 1
    return Comparison(rules, statuses, unexplained)


def test_every_difference_from_nginx_is_an_allowed_one(comparison: Comparison) -> None:
    assert not comparison.unexplained, "\n".join(
        [f"{len(comparison.unexplained)} unexplained differences", *comparison.unexplained[:5]]
    )


def test_most_answers_are_the_same(comparison: Comparison) -> None:
    assert comparison.rules["same"] > QUESTIONS / 2, comparison.rules


def test_all_kinds_of_answers_were_compared(comparison: Comparison) -> None:
    assert set(comparison.statuses) == {200, 206, 304, 405, 412, 416}
    assert min(comparison.statuses.values()) > QUESTIONS / 50, comparison.statuses


def test_every_rule_is_met(comparison: Comparison) -> None:
    assert [name for name in RULES if not comparison.rules[name]] == []


def test_every_rule_is_described() -> None:
    _, _, chapter = DOCS.read_text().partition("\n## Compared with nginx\n")
    described = re.findall(r"^- \*\*`([a-z0-9-]+)`\*\*", chapter, flags=re.MULTILINE)
    assert described == list(RULES)
