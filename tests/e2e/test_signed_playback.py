"""Signed playback over HTTP: what a token opens, and all that opens nothing."""

from __future__ import annotations

import json
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pytest

from media_service.wire.signatures import PlaybackToken, sign
from tests.support.assets import assert_problem, await_state, upload
from tests.support.films import Film, Films
from tests.support.nginx import running_nginx
from tests.support.processes import wait_until
from tests.support.raw_http import RawConnection
from tests.support.server import Server, running_server

KEYS = {"new": bytes(range(32)), "old": bytes(range(32, 64))}
STRANGE_KEY = bytes(32)
FILM = Film(seconds=13, size=(640, 480))
FILES = ("original.mp4", "download", "source.mp4", "audio.m4a")
POSTER = "poster.jpg"
FRAMES = (
    "frame.jpg?t=12&width=64",
    "frame.jpg?t=0&mode=keyframe&width=64",
    "frame.jpg?t=7.5&width=64&blur=9",
)
LISTS = ("hls/master.m3u8", "dash/manifest.mpd", "hls/source/index.m3u8", "hls/audio/index.m3u8")
SEGMENTS = (
    "hls/source/init.mp4",
    "hls/source/0.m4s",
    "hls/audio/1.m4s",
    "hls/240p/init.mp4",
    "hls/240p/2.m4s",
)
BOARDS = ("storyboard.vtt", "storyboard.json", "hls/images/index.m3u8", "hls/images/tiles.m3u8")
PREVIEWS = ("storyboard/0.jpg", "storyboard/tiles/1.jpg", "hls/images/init.mp4", "hls/images/0.m4s")
ALL = (*FILES, POSTER, *FRAMES, *LISTS, "hls/source/iframes.m3u8", *SEGMENTS, *BOARDS, *PREVIEWS)
EVERYTHING = (*ALL, "subtitles/0.vtt", "hls/subtitles-0/index.m3u8")
ABSENT = (
    "hls/nope/0.m4s",
    "hls/nope/init.mp4",
    "hls/nope/index.m3u8",
    "hls/240p/9999.m4s",
    "hls/source/9999.m4s",
)


class Theatre(NamedTuple):
    """A service where films are played with tokens, and two films that are `playable`: `other` is public."""

    server: Server
    client: httpx.Client
    viewer: httpx.Client
    film: str
    other: str

    def made(self) -> dict[str, int]:
        """How many segments of each encoded rendition are there."""
        asset = self.client.get(f"/api/v1/assets/{self.film}").raise_for_status().json()
        return {one["name"]: one["made_segments"] for one in asset["renditions"] if not one["packaged"]}


@pytest.fixture(scope="module")
def theatre(films: Films, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    keys = ",".join(f"{key_id}:{urlsafe_b64encode(key).decode()}" for key_id, key in KEYS.items())
    with (
        running_server(
            tmp_path_factory.mktemp("theatre"), playback="signed", signing_keys=keys, transcode_ahead=False
        ) as server,
        server.client() as client,
        server.client(authorized=False) as viewer,
    ):
        viewer.get("/livez")  # connects now: what a single test opens it has to close
        ids = []
        for name in ("film.mp4", "other.mp4"):
            asset = upload(client, films.film(FILM), name)
            ids.append(await_state(client, asset["id"], "playable", "ready")["id"])
        film, other = ids
        wait_until(lambda: all(_has_still(client, each) for each in ids), 60, "both films have a still")
        client.patch(f"/api/v1/assets/{other}", json={"visibility": "public"}).raise_for_status()
        wait_until(lambda: all(_has_previews(client, each) for each in ids), 60, "both films have previews")
        yield Theatre(server, client, viewer, film, other)


def _has_still(client: httpx.Client, asset: str) -> bool:
    playback = client.get(f"/api/v1/assets/{asset}").raise_for_status().json()["playback"]
    return playback["poster"] is not None


def _has_previews(client: httpx.Client, asset: str) -> bool:
    previews = client.get(f"/api/v1/assets/{asset}").raise_for_status().json()["previews"]
    return previews is not None and bool(previews["complete"])


def token(asset: str, *, key: bytes = KEYS["new"], **said: Any) -> str:
    said = {"asset_id": asset, "key_id": "new", "expires_at": int(time.time()) + 600, **said}
    return sign(PlaybackToken(**said), key)


def way(asset: str, path: str, text: str) -> str:
    return f"/t/{text}/media/{asset}/{path}"


# --- without a token --------------------------------------------------------------------------------------------------


def test_without_a_token_nothing_of_a_signed_film_is_given_and_nothing_is_made_of_it(
    theatre: Theatre,
) -> None:
    made = theatre.made()
    for path in EVERYTHING:
        address = f"/media/{theatre.film}/{path}"
        assert_problem(theatre.viewer.get(address), 403, "playback_denied")
        assert_problem(
            theatre.viewer.get(f"{address}{'&' if '?' in path else '?'}v=1", headers={"Range": "bytes=0-9"}),
            403,
            "playback_denied",
        )
        assert theatre.viewer.head(address).status_code == 403
        # An API key is no ticket: players do not send it, and pages would learn to.
        assert_problem(theatre.client.get(address), 403, "playback_denied")
    for path in ABSENT:
        # Not even what it has not: the names and the number of its parts say how long it is.
        assert_problem(theatre.viewer.get(f"/media/{theatre.film}/{path}"), 403, "playback_denied")
    assert theatre.made() == made
    assert_problem(theatre.viewer.get(f"/watch/{theatre.film}/asset.json"), 403, "playback_denied")


def test_a_public_film_is_played_without_one_and_with_one(theatre: Theatre) -> None:
    for path in ALL:
        assert theatre.viewer.get(f"/media/{theatre.other}/{path}").status_code == 200
    assert theatre.viewer.get(way(theatre.other, POSTER, token(theatre.other))).status_code == 200
    bad = way(theatre.other, POSTER, token(theatre.film))
    assert_problem(theatre.viewer.get(bad), 403, "token_invalid")


def test_an_unknown_film_is_not_there_for_nobody(theatre: Theatre) -> None:
    assert_problem(theatre.viewer.get("/media/absent/poster.jpg"), 404, "not_found")
    assert_problem(theatre.viewer.get(way("absent", POSTER, token("absent"))), 404, "not_found")


# --- with one ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ALL)
def test_with_a_token_all_of_it_is_there_as_it_is_of_a_public_film(theatre: Theatre, path: str) -> None:
    signed = theatre.viewer.get(way(theatre.film, path, token(theatre.film)))
    public = theatre.viewer.get(f"/media/{theatre.other}/{path}")
    assert signed.status_code == public.status_code == 200
    assert signed.headers["content-type"] == public.headers["content-type"]
    if path not in (*LISTS, *BOARDS) and "iframes" not in path:
        assert signed.content == public.content or "240p" in path
    assert signed.headers["access-control-allow-origin"] == "*"
    head = theatre.viewer.head(way(theatre.film, path, token(theatre.film)))
    assert head.headers["etag"] == signed.headers["etag"]
    told = [re.sub("max-age=[0-9]+", "", one.headers["cache-control"]) for one in (head, signed)]
    assert told[0] == told[1]  # but for the seconds, which go on


def test_every_key_verifies(theatre: Theatre) -> None:
    old = token(theatre.film, key_id="old", key=KEYS["old"])
    assert theatre.viewer.get(way(theatre.film, POSTER, old)).status_code == 200


def test_no_answer_outlives_its_token_in_a_cache(theatre: Theatre) -> None:
    text = token(theatre.film, expires_at=int(time.time()) + 100)
    playlist = theatre.viewer.get(way(theatre.film, "hls/source/index.m3u8", text))
    assert playlist.headers["cache-control"] == "no-cache"
    segment = next(line for line in playlist.text.splitlines() if ".m4s" in line)
    said = theatre.client.get(f"/api/v1/assets/{theatre.film}").json()
    poster = said["playback"]["poster"].rpartition("/")[2]  # with its version
    for path in (poster, FRAMES[0], "original.mp4", f"hls/source/{segment}"):
        directives = theatre.viewer.get(way(theatre.film, path, text)).headers["cache-control"].split(", ")
        assert directives[0] == "public"
        assert 90 <= int(directives[1].removeprefix("max-age=")) <= 100
        assert directives[2] == "immutable"
    unversioned = theatre.viewer.get(way(theatre.film, "hls/source/0.m4s", text))
    assert unversioned.headers["cache-control"] == "no-store"


def test_scripts_of_other_origins_may_ask(theatre: Theatre) -> None:
    # Before the token is looked at: a preflight is no request for anything.
    for path in ALL:
        answer = theatre.viewer.options(
            way(theatre.film, path, "x"), headers={"Origin": "https://player.example"}
        )
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "*"
    refused = theatre.viewer.get(way(theatre.film, POSTER, "x"), headers={"Origin": "https://player.example"})
    assert_problem(refused, 403, "token_invalid")
    assert refused.headers["access-control-allow-origin"] == "*"


# --- tokens that open nothing -----------------------------------------------------------------------------------------


def flipped(text: str, at: int) -> str:
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


def bad_tokens(theatre: Theatre) -> dict[str, tuple[str, int, str]]:
    """What is asked with -> the answer."""
    now = int(time.time())
    good = token(theatre.film)
    invalid = (403, "token_invalid")
    return {
        "another asset's": (token(theatre.other), *invalid),
        "edited in front": (flipped(good, 2), *invalid),
        "edited in the asset": (flipped(good, 20), *invalid),
        "edited in the signature": (flipped(good, len(good) - 10), *invalid),
        "edited at the end": (flipped(good, len(good) - 1), *invalid),
        "expired": (token(theatre.film, expires_at=now - 1), 410, "token_expired"),
        "expires now": (token(theatre.film, expires_at=now), 410, "token_expired"),
        "not yet": (token(theatre.film, not_before=now + 60), 403, "token_not_yet"),
        "truncated": (good[:-1], *invalid),
        "half": (good[: len(good) // 2], *invalid),
        "appended to": (good + "A", *invalid),
        "padded": (good + "=", *invalid),
        "twice": (good + good, *invalid),
        "encoded twice": (quote(f"%{ord(good[0]):02X}") + good[1:], *invalid),
        "a NUL behind": (good + "%00", *invalid),
        "in other letters": (good.swapcase(), *invalid),
        "of a key that is not known": (token(theatre.film, key_id="other", key=STRANGE_KEY), *invalid),
        "of another key": (token(theatre.film, key=STRANGE_KEY), *invalid),
        "under the other key's name": (token(theatre.film, key_id="old"), *invalid),
        "expired and edited": (flipped(token(theatre.film, expires_at=now - 1), 50), *invalid),
        "no token": ("-", *invalid),
        "a space": ("%20", *invalid),
        "long": ("A" * 3000, *invalid),
    }


def test_tokens_that_open_nothing(theatre: Theatre, films: Films) -> None:
    # A film that nobody has watched: what was begun for somebody may be looking ahead still.
    asset = upload(theatre.client, films.film(FILM), "unwatched.mp4")
    await_state(theatre.client, asset["id"], "playable", "ready")
    theatre = theatre._replace(film=asset["id"])
    made = theatre.made()
    for kind, (text, status, code) in bad_tokens(theatre).items():
        for path in ("hls/master.m3u8", "original.mp4", "hls/240p/1.m4s", "hls/nothing/0.m4s"):
            answer = theatre.viewer.get(way(theatre.film, path, text))
            assert (kind, answer.status_code) == (kind, status)
            assert_problem(answer, status, code)
    assert theatre.made() == made


def test_what_any_router_takes_for_the_same_address_is_the_same(theatre: Theatre) -> None:
    good = token(theatre.film)
    same = f"%{ord(good[0]):02X}{good[1:]}"
    assert theatre.viewer.get(way(theatre.film, POSTER, same)).status_code == 200


@pytest.mark.parametrize("through", ["service", "nginx"])
def test_an_address_with_an_empty_part_is_no_address(theatre: Theatre, tmp_path: Path, through: str) -> None:
    good, made = token(theatre.film), theatre.made()
    film, other = theatre.film, theatre.other
    with ExitStack() as stack:
        port = theatre.server.port
        if through == "nginx":
            port = stack.enter_context(running_nginx(tmp_path / "nginx", port)).port
        for path in (
            f"/t/{good}//media/{film}/{POSTER}",
            f"/t/{good}/media//{film}/{POSTER}",
            f"/t/{good}/media/{film}//{POSTER}",
            f"/t/{good}/media/{film}/hls//240p/2.m4s",
            f"/t/{good}/media/{film}/hls/240p///2.m4s",
            f"/t/{good}%2F/media/{film}/{POSTER}",
            f"/t/{good}/%2Fmedia/{film}/{POSTER}",
            f"/t/{good}/%2f%2Fmedia/{film}/{POSTER}",
            f"/t//{good}/media/{film}/{POSTER}",
            f"//t/{good}/media/{film}/{POSTER}",
            f"//t//{good}//media//{film}//{POSTER}",
            f"/t/{good}/watch//{film}/asset.json",
            f"//media/{film}/{POSTER}",
            f"/media//{film}/{POSTER}",
            f"/media//{other}/original.mp4",
            f"//media/{other}/original.mp4",
            f"/media/{other}//",
            "//api/v1/assets",
            "/api//v1/events",
            "//livez",
            "//",
        ):
            with RawConnection(port) as connection:
                connection.request("GET", path, {"Connection": "close"})
                head, content = connection.head(), connection.rest()
            expected = (401, "unauthorized") if "/v1/" in path else (404, "not_found")
            assert (head.status, json.loads(content)["code"]) == expected, path
            assert head.headers["content-type"] == "application/problem+json"
            assert good[:40].encode() not in content
    assert theatre.made() == made


@pytest.mark.parametrize(
    "path",
    [
        "/t/{token}/media/{film}/../{other}/original.mp4",
        "/t/{token}/media/{film}/%2e%2e/{signed}/original.mp4",
        "/t/{token}/media/{film}%2F..%2F{signed}/original.mp4",
        "/t/{token}/media/{film}/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/t/{token}/media/{film}/hls/source/..%2f..%2foriginal.mp4",
        "/t/{token}/../../media/{signed}/original.mp4",
        "/t/{token}/media/{film}/poster.jpg/../../{signed}/original.mp4",
        "/t/{token}/media/{film}/poster.jpg/original.mp4",
        "/t/{token}/t/{token}/media/{film}/poster.jpg",
        "/t//media/{film}/poster.jpg",
        "/t/media/{film}/poster.jpg",
        "/T/{token}/media/{film}/poster.jpg",
        "/t/{token}/media/{film}/poster.jpg%00.jpg",
        "/t/{token}/api/v1/assets",
        "/t/{token}/admin",
        "/media/{film}/poster.jpg?token={token}",
        "/media/{film}/t/{token}/poster.jpg",
    ],
)
def test_a_token_leads_nowhere_else(theatre: Theatre, path: str) -> None:
    # `signed` is what the token's film would be taken for, if the path were walked.
    theirs = {"token": token(theatre.film), "film": theatre.film, "other": theatre.other, "signed": "absent"}
    with RawConnection(theatre.server.port) as connection:
        connection.request("GET", path.format(**theirs))
        assert connection.head().status in {400, 403, 404, 405}


# --- windows ----------------------------------------------------------------------------------------------------------


def listed(theatre: Theatre, name: str, text: str) -> list[int]:
    """The numbers of the segments in a rendition's playlist."""
    answer = theatre.viewer.get(way(theatre.film, f"hls/{name}/index.m3u8", text)).raise_for_status()
    assert answer.text.endswith("#EXT-X-ENDLIST\n")
    return [int(line.partition(".")[0]) for line in answer.text.splitlines() if ".m4s" in line]


def given(theatre: Theatre, name: str, text: str, count: int) -> list[int]:
    """The numbers of the segments that the token opens; all others are `outside_window`."""
    found = []
    for number in range(count):
        answer = theatre.viewer.get(way(theatre.film, f"hls/{name}/{number}.m4s", text))
        if answer.status_code == 200:
            found.append(number)
        else:
            assert_problem(answer, 403, "outside_window")
    return found


def test_a_window_opens_the_segments_in_which_it_is_shown(theatre: Theatre) -> None:
    whole = listed(theatre, "source", token(theatre.film))
    bounds = [0.0]
    playlist = theatre.viewer.get(way(theatre.film, "hls/source/index.m3u8", token(theatre.film))).text
    for line in playlist.splitlines():
        if line.startswith("#EXTINF:"):
            bounds.append(bounds[-1] + float(line[8:].rstrip(",")))
    assert len(bounds) == len(whole) + 1 > 4
    for begin, end in ((0, 1), (1, 2), (1, 3), (2, len(whole))):
        # A millisecond less on both sides, and the segments around are not shown any more.
        window = (round(bounds[begin] * 1000), round(bounds[end] * 1000))
        text = token(theatre.film, window=window)
        assert given(theatre, "source", text, len(whole)) == list(range(begin, end))
        assert given(theatre, "240p", text, len(whole)) == list(range(begin, end))
        assert listed(theatre, "source", text) == listed(theatre, "240p", text) == list(range(end))
        wider = (max(0, window[0] - 1), window[1] + 1)
        expected = list(range(max(0, begin - 1), min(len(whole), end + 1)))
        assert given(theatre, "source", token(theatre.film, window=wider), len(whole)) == expected


def test_what_has_the_whole_film_in_it_is_outside_of_every_window(theatre: Theatre) -> None:
    text = token(theatre.film, window=(0, 60_000))
    for path in (*FILES, "subtitles/0.vtt", "hls/subtitles-0/index.m3u8", *BOARDS, *PREVIEWS):
        assert_problem(theatre.viewer.get(way(theatre.film, path, text)), 403, "outside_window")
    for path in (POSTER, *LISTS, "hls/source/init.mp4"):
        assert theatre.viewer.get(way(theatre.film, path, text)).status_code == 200
    shown = (
        theatre.viewer.get(f"/t/{text}/watch/{theatre.film}/asset.json").raise_for_status().json()["playback"]
    )
    assert (shown["original"], shown["mp4"], shown["subtitles"]) == (None, None, [])
    assert shown["hls"] == way(theatre.film, "hls/master.m3u8", text)


def test_a_window_that_lies_behind_the_film_opens_no_segment(theatre: Theatre) -> None:
    text = token(theatre.film, window=(60_000, 90_000))
    assert given(theatre, "audio", text, 3) == []


def test_players_are_told_to_begin_where_the_window_does(theatre: Theatre) -> None:
    text = token(theatre.film, window=(5_250, 9_000))
    master = theatre.viewer.get(way(theatre.film, "hls/master.m3u8", text)).text
    assert "#EXT-X-START:TIME-OFFSET=5.25\n" in master
    assert (
        "#EXT-X-START"
        not in theatre.viewer.get(way(theatre.film, "hls/master.m3u8", token(theatre.film))).text
    )
    shown = theatre.viewer.get(f"/t/{text}/watch/{theatre.film}/asset.json").json()
    assert shown["playback"]["starts_at"] == 5.25


# --- heights ----------------------------------------------------------------------------------------------------------


def test_max_height_leaves_out_and_refuses_larger_pictures(theatre: Theatre) -> None:
    text = token(theatre.film, max_height=240)
    for path in LISTS[:2]:
        answer = theatre.viewer.get(way(theatre.film, path, text)).raise_for_status()
        assert "240p/" in answer.text
        assert "source/" not in answer.text
    for path in (
        "original.mp4",
        "download",
        "source.mp4",
        "hls/source/index.m3u8",
        "hls/source/init.mp4",
        "hls/source/0.m4s",
    ):
        assert_problem(theatre.viewer.get(way(theatre.film, path, text)), 403, "playback_denied")
    for path in (POSTER, "audio.m4a", "hls/240p/index.m3u8", "hls/240p/0.m4s", "hls/audio/0.m4s"):
        assert theatre.viewer.get(way(theatre.film, path, text)).status_code == 200
    assert (
        theatre.viewer.get(way(theatre.film, "original.mp4", token(theatre.film, max_height=480))).status_code
        == 200
    )
    shown = theatre.viewer.get(f"/t/{text}/watch/{theatre.film}/asset.json").json()["playback"]
    assert shown["original"] is None


def test_without_any_picture_left_the_sound_is_played(theatre: Theatre) -> None:
    text = token(theatre.film, max_height=100)
    master = theatre.viewer.get(way(theatre.film, "hls/master.m3u8", text)).raise_for_status().text
    assert [line for line in master.splitlines() if not line.startswith("#")] == ["audio/index.m3u8"]


# --- making them ------------------------------------------------------------------------------------------------------


def test_a_token_is_made_by_the_service(theatre: Theatre) -> None:
    wish = {"expires_in": 60, "window": [1.1, 9.9], "max_height": 240}
    answer = theatre.client.post(f"/api/v1/assets/{theatre.film}/playback-tokens", json=wish)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    expires_at = datetime.fromisoformat(made["expires_at"])
    assert 55 < expires_at.timestamp() - time.time() <= 60
    said: dict[str, Any] = {
        "expires_at": int(expires_at.timestamp()),
        "window": (1100, 9900),
        "max_height": 240,
    }
    assert made["token"] == token(theatre.film, **said)
    assert made["playback"]["original"] is None
    assert theatre.viewer.get(made["playback"]["hls"]).status_code == 200
    assert theatre.viewer.get(made["playback"]["watch"]).status_code == 200


def test_a_token_for_later_is_made(theatre: Theatre) -> None:
    later = datetime.fromtimestamp(int(time.time()) + 1000, UTC)
    wish = {"expires_in": 2000, "not_before": later.isoformat()}
    made = theatre.client.post(f"/api/v1/assets/{theatre.film}/playback-tokens", json=wish).json()
    assert_problem(theatre.viewer.get(made["playback"]["hls"]), 403, "token_not_yet")


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"expires_in": 0},
        {"expires_in": -1},
        {"expires_in": 1 << 40},
        {"expires_in": (1 << 32) - 1},
        {"expires_in": 60, "window": [2, 1]},
        {"expires_in": 60, "window": [1, 1]},
        {"expires_in": 60, "window": [-1, 1]},
        {"expires_in": 60, "window": [0, 1e12]},
        {"expires_in": 60, "window": [0]},
        {"expires_in": 60, "max_height": 0},
        {"expires_in": 60, "max_height": 70_000},
        {"expires_in": 60, "not_before": "2100-01-01T00:00:00Z"},
        {"expires_in": 60, "not_before": "2020-01-01T00:00:00"},
        {"expires_in": 60, "not_before": "1920-01-01T00:00:00Z"},
        {"expires_in": 60, "asset_id": "other"},
    ],
)
def test_what_no_token_can_say_is_refused_in_words(theatre: Theatre, wish: dict[str, object]) -> None:
    answer = theatre.client.post(f"/api/v1/assets/{theatre.film}/playback-tokens", json=wish)
    assert assert_problem(answer, 400, "invalid_request")["detail"]


def test_only_who_may_manage_makes_tokens_and_only_of_what_is_there(theatre: Theatre) -> None:
    address, wish = f"/api/v1/assets/{theatre.film}/playback-tokens", {"expires_in": 60}
    assert_problem(theatre.viewer.post(address, json=wish), 401, "unauthorized")
    absent = theatre.client.post("/api/v1/assets/absent/playback-tokens", json=wish)
    assert_problem(absent, 404, "not_found")
    for scope in ("read", "upload"):
        key = theatre.client.post("/api/v1/keys", json={"name": f"a {scope}er", "scopes": [scope]}).json()[
            "key"
        ]
        refused = theatre.viewer.post(address, json=wish, headers={"Authorization": f"Bearer {key}"})
        assert_problem(refused, 403, "forbidden")


# --- addresses that the service gives ---------------------------------------------------------------------------------


def test_holders_of_keys_are_given_addresses_that_open(theatre: Theatre) -> None:
    one = theatre.client.get(f"/api/v1/assets/{theatre.film}").json()
    page = theatre.client.get("/api/v1/assets").json()["items"]
    assert one["playback"] == next(each for each in page if each["id"] == theatre.film)["playback"]
    playback = one["playback"]
    for address in (
        playback["original"]["url"],
        playback["hls"],
        playback["dash"],
        playback["poster"],
        playback["watch"],
    ):
        assert address.startswith("/t/")
        assert theatre.viewer.get(address).status_code == 200
    found = theatre.client.get(f"/api/v1/assets/{theatre.film}/seek", params={"t": 5}).json()
    for address in (found["original"], *(segment["url"] for segment in found["segments"])):
        assert theatre.viewer.get(address).status_code == 200
    public = theatre.client.get(f"/api/v1/assets/{theatre.other}").json()
    assert public["playback"]["hls"] == f"/media/{theatre.other}/hls/master.m3u8"


def test_who_may_only_upload_is_given_no_token(theatre: Theatre, films: Films) -> None:
    key = theatre.client.post("/api/v1/keys", json={"name": "camera", "scopes": ["upload"]}).json()["key"]
    answer = theatre.viewer.put(
        "/api/v1/assets",
        params={"filename": "a.mp4"},
        content=films.film(Film(seconds=1, size=(160, 90))).read_bytes(),
        headers={"Authorization": f"Bearer {key}"},
    )
    assert answer.status_code == 201
    assert answer.json()["playback"]["watch"] == f"/watch/{answer.json()['id']}"
    theatre.client.delete(f"/api/v1/assets/{answer.json()['id']}")


def test_visibility_is_changed_and_taken_back(theatre: Theatre) -> None:
    address = f"/api/v1/assets/{theatre.film}"
    assert theatre.client.get(address).json()["visibility"] is None
    for visibility, status in (("public", 200), ("signed", 403), (None, 403)):
        answer = theatre.client.patch(address, json={"visibility": visibility}).raise_for_status()
        assert answer.json()["visibility"] == visibility
        for path in ("poster.jpg", "hls/240p/2.m4s", "hls/240p/init.mp4", "hls/source/0.m4s"):
            assert theatre.viewer.get(f"/media/{theatre.film}/{path}").status_code == status
    for refused in ({"visibility": "secret"}, {}, {"visibility": 1}):
        assert_problem(theatre.client.patch(address, json=refused), 400, "invalid_request")


def test_an_upload_says_who_may_play_it(theatre: Theatre, films: Films) -> None:
    content = films.film(Film(seconds=1, size=(160, 90))).read_bytes()
    manage = {"Authorization": f"Bearer {theatre.server.token}"}
    key = theatre.client.post("/api/v1/keys", json={"name": "intake", "scopes": ["upload"]}).json()["key"]
    intake = {"Authorization": f"Bearer {key}"}
    for headers, visibility, status, seen in (
        (manage, "public", 201, 200),
        (manage, "signed", 201, 403),
        (intake, "signed", 201, 403),
        (intake, "public", 403, 0),
        (manage, "secret", 400, 0),
    ):
        raw = theatre.viewer.put(
            "/api/v1/assets", params={"visibility": visibility}, content=content, headers=headers
        )
        form = theatre.viewer.post(
            "/api/v1/assets",
            data={"visibility": visibility},
            files={"file": ("a.mp4", content)},
            headers=headers,
        )
        for answer in (raw, form):
            assert answer.status_code == status, answer.text
            if status == 201:
                asset = answer.json()
                assert asset["visibility"] == visibility
                assert theatre.viewer.get(f"/watch/{asset['id']}/asset.json").status_code == seen
                theatre.client.delete(f"/api/v1/assets/{asset['id']}")
