"""Where the URIs of playlists and manifests lead: below whatever address the film was found at."""

from __future__ import annotations

from urllib.parse import urljoin

FILM = "https://media.example/t/TOKEN/media/ID/"


def stays_below_the_film(place: str, uri: str) -> bool:
    """Whether `uri`, said by what lies at `place` below a film's address, keeps all that stands in front of the film.

    A playback token stands there (docs/signed-playback.md). Only a relative path does (RFC 3986 s4.2).
    """
    return urljoin(FILM + place, uri).startswith(FILM) and not uri.startswith(("/", "https:"))
