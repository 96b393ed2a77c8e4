"""What each player is told of answers that a real proxy, or a service worse than ours, might give."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import pytest

from media_service.doctor import players
from media_service.doctor.films import Film
from media_service.doctor.findings import Finding
from media_service.doctor.visiting import Answer, Visitor

TOTAL = 20 << 20
FILM = Film("a" * 26, "/media/a/original.mp4", None, "/media/a/hls/master.m3u8", None)
BOXES = b"\0\0\0\x14ftypisom\0\0\0\0isom" + b"\0\0\x10\0moov" + bytes(4088) + b"\0\0\0\1mdat\0\0\0\0\2\0\0\0"

Changed = Callable[[str, Mapping[str, str], Answer], Answer]
Player = Callable[[Visitor, Film], Iterator[Finding]]


class Proxied(Visitor):
    """Answers as the service would, but for what `change` makes of it."""

    def __init__(self, change: Changed = lambda _method, _asked, answer: answer) -> None:
        super().__init__("https://films.example")
        self._change = change

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        *,
        body: bytes = b"",
        most: int = 16 << 20,
    ) -> Answer:
        asked = headers or {}
        return self._change(method, asked, _right(method, target, asked, most))


def _right(method: str, target: str, asked: Mapping[str, str], most: int) -> Answer:
    if not target.endswith("original.mp4"):
        text = b"#EXTM3U\n#\n" + (b"720p/index.m3u8\n" if target.endswith("master.m3u8") else b"0.m4s\n")
        if target.endswith("0.m4s"):
            return Answer(200, {"content-length": ["3"]}, b"abc", 0.01)
        return Answer(200, {"content-type": ["application/vnd.apple.mpegurl"]}, text, 0.01)
    said = {"accept-ranges": ["bytes"], "etag": ['"x"'], "content-type": ["video/mp4"]}
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.get("Range", ""))
    if wanted is None or method == "HEAD" or asked.get("If-Range", '"x"') != '"x"':
        return Answer(200, {**said, "content-length": [str(TOTAL)]}, b"", 0.01)
    first, last = int(wanted[1]), int(wanted[2] or TOTAL - 1)
    size = last - first + 1
    content = (BOXES[first:] + bytes(min(size, most)))[: min(size, most)]
    place = {"content-range": [f"bytes {first}-{last}/{TOTAL}"], "content-length": [str(size)]}
    return Answer(206, {**said, **place}, content, 0.01)


def with_headers(**changes: str) -> Changed:
    def change(_method: str, _asked: Mapping[str, str], answer: Answer) -> Answer:
        named = {name.replace("_", "-"): [value] if value else [] for name, value in changes.items()}
        return answer._replace(headers={**answer.headers, **named})

    return change


def capped(_method: str, _asked: Mapping[str, str], answer: Answer) -> Answer:
    """1 MiB per answer, as some services have it."""
    read = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.get("content-range"))
    if read is None:
        return answer
    last = min(int(read[2]), int(read[1]) + (1 << 20) - 1)
    place = {"content-range": [f"bytes {read[1]}-{last}/{read[3]}"]}
    return answer._replace(headers={**answer.headers, **place}, body=answer.body[: 1 << 20])


def slow(_method: str, _asked: Mapping[str, str], answer: Answer) -> Answer:
    return answer._replace(seconds=4.2)


def without_head(method: str, _asked: Mapping[str, str], answer: Answer) -> Answer:
    return answer if method != "HEAD" else Answer(405, {}, b"", 0.01)


def short(_method: str, _asked: Mapping[str, str], answer: Answer) -> Answer:
    return answer._replace(body=answer.body[:-1], whole=False)


def fragmented(_method: str, _asked: Mapping[str, str], answer: Answer) -> Answer:
    return answer._replace(body=answer.body.replace(b"mdat", b"moof"))


def index_at_the_end(_method: str, _asked: Mapping[str, str], answer: Answer) -> Answer:
    return answer._replace(body=answer.body.replace(b"moov", b"mdat"))


@pytest.mark.parametrize(
    "player", [players.safari, players.avplayer, players.chrome, players.firefox, players.media3]
)
def test_what_is_right_is_said_to_be_right(player: Player) -> None:
    assert {finding.level for finding in player(Proxied(), FILM)} == {"ok"}


@pytest.mark.parametrize(
    ("player", "change", "words"),
    [
        (players.safari, with_headers(content_range="bytes 0-1/*"), "without the size of the film"),
        (players.safari, with_headers(content_type="text/plain"), "called text/plain"),
        (players.safari, with_headers(content_length=""), "Content-Length (none)"),
        (players.safari, short, "1 bytes in fact"),
        (players.avplayer, capped, "-12939"),
        (players.avplayer, with_headers(content_type="text/html"), "plays no HLS"),
        (players.avplayer, with_headers(content_encoding="br"), "Content-Encoding br"),
        (players.chrome, slow, "4.2 s at each seek"),
        (players.chrome, capped, "nobody may cap"),
        (players.firefox, with_headers(etag='W/"x"'), 'the ETag is W/"x"'),
        (players.firefox, with_headers(content_length=""), "Content-Length is lost"),
        (players.media3, without_head, "told 405 and no bytes by HEAD"),
        (players.media3, fragmented, "no sidx"),
        (players.media3, index_at_the_end, "moov is not at the front"),
    ],
)
def test_what_is_wrong_is_named(player: Player, change: Changed, words: str) -> None:
    told = [finding.text for finding in player(Proxied(change), FILM) if finding.level == "BAD"]
    assert any(words in text for text in told), told
