"""The film that a public address is tried with: the one that the address names, or the newest that plays."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec

from media_service.doctor.visiting import Answer, Unreachable, Visitor

_FILM = re.compile(r"(?P<token>/t/[^/]+)?/(?:media|watch|embed)/(?P<id>[a-z2-7]{26})(?:/.*)?")


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
T = TypeVar("T")


class _Problem(msgspec.Struct):
    code: str = ""


class _Original(msgspec.Struct):
    url: str | None = None


class _Playback(msgspec.Struct):
    original: _Original | None = None
    mp4: str | None = None
    hls: str | None = None
    dash: str | None = None


class _Item(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z2-7]{26}$")]
    playback: _Playback


class _Page(msgspec.Struct):
    items: list[_Item]


class NoFilm(Exception):
    """There is none to try with; the text says what to do, for a person."""


class Film(NamedTuple):
    """Where a film plays: targets of requests, None for what it lacks."""

    id: str
    original: str | None
    mp4: str | None
    hls: str | None
    dash: str | None

    @property
    def file(self) -> str | None:
        """One file that players seek in."""
        return self.original or self.mp4


def origin_of(url: str) -> str:
    """Scheme, host and port of an address. Raises ValueError, with a sentence, for what is none of the web's."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url!r} is no address like https://films.example.")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def bearer(key: str) -> dict[str, str]:
    """The header that a key comes in."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def find_film(visitor: Visitor, url: str, key: str) -> Film:
    """The film of `url`, an address of its page or of a part of it, else the newest that plays. Raises NoFilm, Unreachable."""
    named = _FILM.fullmatch(urlsplit(url).path)
    if named is not None:
        page = f"{named['token'] or ''}/watch/{named['id']}/asset.json"
        answer = visitor.ask("GET", page)
        if answer.status != 200 and key:
            answer = visitor.ask("GET", f"/api/v1/assets/{named['id']}", bearer(key))
        if answer.status != 200:
            raise NoFilm(f"The film cannot be looked at: {said(answer)}.")
        return _film(read_json(answer, _Item))
    if not key:
        raise NoFilm("Name a film (the address of its watch page), or give a key, to try what players do.")
    answer = visitor.ask("GET", "/api/v1/assets?limit=100", bearer(key))
    if answer.status != 200:
        raise NoFilm(f"The films cannot be listed: {said(answer)}.")
    for item in read_json(answer, _Page).items:
        if (film := _film(item)).hls is not None:
            return film
    raise NoFilm("There is no film yet that plays: upload one, and look again.")


def code_of(answer: Answer) -> str:
    """The code of a problem of ours (docs/errors.md); "" for every other answer."""
    try:
        return msgspec.json.decode(answer.body, type=_Problem).code
    except _UNREADABLE:
        return ""


def said(answer: Answer) -> str:
    """An answer in a few words: its status, and the code of a problem of ours."""
    code = code_of(answer)
    return f"{answer.status} {code}" if code else f"{answer.status}, and not by the service"


def read_json(answer: Answer, kind: type[T]) -> T:
    """What the service says in an answer. Raises Unreachable when somebody else answered, who says other things."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except _UNREADABLE:
        raise Unreachable("what should be JSON of the service is none") from None


def _film(item: _Item) -> Film:
    playback = item.playback
    original = None if playback.original is None else playback.original.url
    return Film(item.id, original, playback.mp4, playback.hls, playback.dash)
