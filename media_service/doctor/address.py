"""A public address, tried as players, uploads and pages use it. Nothing is changed by it, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from msgspec.structs import replace

from media_service.doctor import players, proxies
from media_service.doctor.films import Film, NoFilm, find_film, origin_of
from media_service.doctor.findings import Finding
from media_service.doctor.visiting import Unreachable, Visitor

# Those who need a file to seek in; the others make do with a playlist.
_OF_FILES = {
    "Safari": players.safari,
    "Chrome": players.chrome,
    "Firefox": players.firefox,
    "Media3": players.media3,
}
_OF_ALL = {"AVPlayer": players.avplayer, "Pages": players.pages}


def try_address(url: str, key: str) -> list[Finding]:
    """All that is found at `url`, the service's address or that of a film; `key` opens its API ("" if there is none).

    Raises ValueError, with a sentence, for what is no address.
    """
    origin = origin_of(url)
    try:
        visitor, found = proxies.reach(origin)
    except Unreachable as error:
        return [Finding("BAD", f"{origin} cannot be used: {error}")]
    film: Film | None = None
    try:
        film = find_film(visitor, url, key)
        found.append(Finding("ok", f"played: {visitor.origin}/watch/{film.id}"))
    except NoFilm as error:
        found.append(Finding("note", str(error)))
    except Unreachable as error:
        found.append(Finding("BAD", f"A film cannot be found: {error}"))
    with ThreadPoolExecutor(1) as listener:
        # Most of it is waiting.
        events = listener.submit(
            _tried, "Events", partial(proxies.events, visitor, key, None if film is None else film.id)
        )
        found += _tried("Uploads", partial(proxies.uploads, visitor))
        found += _tried("The panel", partial(proxies.sign_in, visitor, key))
        found += _tried("Caches", partial(proxies.caches, visitor))
        if film is not None:
            found += _played(visitor, film)
        found += events.result()
    return found


def _played(visitor: Visitor, film: Film) -> list[Finding]:
    found: list[Finding] = []
    if film.file is not None:
        for name, player in _OF_FILES.items():
            found += _tried(name, partial(player, visitor, film))
    else:
        found.append(
            Finding("note", "the film has no file yet that players seek in: HLS and DASH alone are tried")
        )
    for name, player in _OF_ALL.items():
        found += _tried(name, partial(player, visitor, film))
    return found


def _tried(name: str, ask: Callable[[], Iterable[Finding]]) -> list[Finding]:
    found: list[Finding] = []
    try:
        # One by one: what was found before the line broke counts.
        found.extend(replace(finding, about=name) for finding in ask())
    except Unreachable as error:
        found.append(Finding("BAD", f"get no answer: {error}", about=name))
    return found
