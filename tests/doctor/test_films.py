"""Which film a public address is tried with, and what is said when there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from media_service.doctor.films import Film, NoFilm, code_of, find_film, origin_of, said
from media_service.doctor.visiting import Answer, Unreachable, Visitor

ID = "abcdefghijklmnopqrstuvwxy2"
ITEM = {
    "id": ID,
    "playback": {"original": {"url": "/o"}, "mp4": None, "hls": "/h", "dash": "/d"},
}
UNREADY = {"id": "b" * 26, "playback": {"original": None, "mp4": None, "hls": None, "dash": None}}


class Site(Visitor):
    """Gives `pages` by their targets, to who has the key where there is none without."""

    def __init__(self, **pages: Any) -> None:
        super().__init__("https://films.example")
        self.asked: list[str] = []
        self._pages = {name.replace("_", "/"): page for name, page in pages.items()}

    def ask(self, method: str, target: str, headers: Mapping[str, str] | None = None, **_: Any) -> Answer:
        self.asked.append(target)
        for name, page in self._pages.items():
            if name in target and (name[0] != "a" or headers == {"Authorization": "Bearer msk_1"}):
                return Answer(200, {}, page if isinstance(page, bytes) else msgspec.json.encode(page), 0.0)
        return Answer(404, {}, b'{"code":"not_found"}', 0.0)


@pytest.mark.parametrize("path", [f"/watch/{ID}", f"/embed/{ID}?t=3", f"/media/{ID}/hls/master.m3u8"])
def test_an_address_of_a_film_names_it(path: str) -> None:
    site = Site(watch=ITEM)
    assert find_film(site, f"https://films.example{path}", "") == Film(ID, "/o", None, "/h", "/d")
    assert site.asked == [f"/watch/{ID}/asset.json"]


def test_a_token_in_the_address_is_used_and_a_key_where_there_is_none() -> None:
    site = Site(watch=ITEM)
    find_film(site, f"https://films.example/t/AQtoken/watch/{ID}", "")
    assert site.asked == [f"/t/AQtoken/watch/{ID}/asset.json"]
    assert find_film(Site(assets=ITEM), f"https://films.example/watch/{ID}", "msk_1").id == ID
    with pytest.raises(NoFilm, match="404 not_found"):
        find_film(Site(assets=ITEM), f"https://films.example/watch/{ID}", "msk_2")


def test_without_one_it_is_the_newest_that_plays() -> None:
    film = find_film(Site(assets={"items": [UNREADY, ITEM]}), "https://films.example", "msk_1")
    assert (film.id, film.file) == (ID, "/o")
    with pytest.raises(NoFilm, match="no film yet"):
        find_film(Site(assets={"items": [UNREADY]}), "https://films.example/", "msk_1")
    with pytest.raises(NoFilm, match="cannot be listed: 404 not_found"):
        find_film(Site(), "https://films.example/", "msk_1")
    with pytest.raises(NoFilm, match="give a key"):
        find_film(Site(), "https://films.example/", "")


@pytest.mark.parametrize(
    "page",
    [
        b"<html>",
        b"[" * 100_000,
        [],
        {"items": [3]},
        {"items": 5},
        {"items": [{"id": "../x", "playback": ITEM["playback"]}]},
        {"items": [{"id": ID, "playback": {"original": "x"}}]},
        {"items": [{"id": ID, "playback": {"hls": ["/h"]}}]},
    ],
)
def test_what_a_portal_answers_in_place_of_the_service_is_none_of_its_json(page: Any) -> None:
    with pytest.raises(Unreachable, match="is none"):
        find_film(Site(assets=page), "https://films.example/", "msk_1")


def test_addresses_are_the_webs() -> None:
    assert origin_of("https://films.example:8443/watch/x?t=1") == "https://films.example:8443"
    assert origin_of("https://me:secret@films.example/") == "https://films.example"
    for none in ("films.example", "ftp://films.example", "https://", ""):
        with pytest.raises(ValueError, match="no address"):
            origin_of(none)


def test_who_answered_is_told_by_the_code() -> None:
    assert said(Answer(404, {}, b'{"code":"not_found"}', 0.0)) == "404 not_found"
    for body in (b"<html>", b"[]", b"\xff", b"{}", b"", b'{"code":5}', b"[" * 100_000):
        assert code_of(Answer(502, {}, body, 0.0)) == ""
        assert said(Answer(502, {}, body, 0.0)) == "502, and not by the service"
