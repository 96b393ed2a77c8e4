"""The API around the films: lists, changes, errors, caching, other origins, pages, probes, and who may do what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from media_service.web.cors import CORS
from tests.support.assets import assert_problem, await_state, upload
from tests.support.films import Film, Films
from tests.support.server import Server, running_server

ASSETS = "/api/v1/assets"
UPLOADS = "/api/v1/uploads"
PAGES = ["/admin", "/watch/any", "/schema"]
TITLES = ["Alpine meadow", "Brass band", "Canoe 50%", "Dunes_by_night", "\u00c9tude"]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service of which this module knows all the assets."""
    with running_server(tmp_path_factory.mktemp("library")) as running:
        yield running


@pytest.fixture(scope="module")
def assets(library: Server, films: Films) -> list[dict[str, Any]]:
    """Five, newest last; the first is ready, the others as far as they are, and a sixth has failed."""
    small = films.film(Film(seconds=1, audio=False))
    with library.client() as client:
        made = [upload(client, small, f"{title}.mp4") for title in TITLES]
        for asset in made:
            await_state(client, asset["id"], "ready")
        cut = films.film(Film(seconds=1, moov_at_end=False)).read_bytes()[:30_000]
        await_state(client, upload(client, cut, "broken.mp4")["id"], "failed")
        return [client.get(f"{ASSETS}/{asset['id']}").json() for asset in made]


@pytest.fixture
def client(library: Server, assets: list[dict[str, Any]]) -> Iterator[httpx.Client]:
    assert assets
    with library.client() as opened:
        yield opened


@pytest.fixture
def stranger(library: Server) -> Iterator[httpx.Client]:
    with library.client(authorized=False) as opened:
        yield opened


def titles(page: dict[str, Any]) -> list[str]:
    return [item["title"] for item in page["items"]]


# --- the catalog ----------------------------------------------------------------------------------------------


def test_the_list_is_newest_first_and_holds_what_get_says(
    client: httpx.Client, assets: list[dict[str, Any]]
) -> None:
    page = client.get(ASSETS).json()
    assert titles(page) == ["broken", *reversed(TITLES)]
    assert page["next_cursor"] is None
    assert page["items"][1:] == list(reversed(assets))


@pytest.mark.parametrize("limit", [1, 2, 4, 6, 7])
def test_pages_together_are_the_whole_list(client: httpx.Client, limit: int) -> None:
    seen, cursor = [], None
    while True:
        page = client.get(ASSETS, params={"limit": limit} | ({"cursor": cursor} if cursor else {})).json()
        assert len(page["items"]) <= limit
        seen += titles(page)
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == titles(client.get(ASSETS).json())


def test_paging_goes_on_in_its_place_when_assets_come_and_go(client: httpx.Client, films: Films) -> None:
    first = client.get(ASSETS, params={"limit": 3}).json()
    fresh = upload(client, films.film(Film(seconds=1, audio=False)), "newcomer.mp4")
    rest = client.get(ASSETS, params={"cursor": first["next_cursor"]}).json()
    client.delete(f"{ASSETS}/{fresh['id']}").raise_for_status()
    assert titles(first) + titles(rest) == ["broken", *reversed(TITLES)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("band", ["Brass band"]),
        ("BRASS", ["Brass band"]),
        ("50%", ["Canoe 50%"]),
        ("s_by", ["Dunes_by_night"]),
        ("%", ["Canoe 50%"]),
        ("' OR 1=1 --", []),
        (".mp4", ["broken", *reversed(TITLES)]),
        ("nothing of the kind", []),
    ],
)
def test_search_looks_for_the_very_text(client: httpx.Client, query: str, found: list[str]) -> None:
    assert titles(client.get(ASSETS, params={"q": query}).json()) == found


def test_the_state_filters(client: httpx.Client) -> None:
    assert titles(client.get(ASSETS, params={"state": "failed"}).json()) == ["broken"]
    assert titles(client.get(ASSETS, params={"state": "ready", "q": "a"}).json()) != []
    assert client.get(ASSETS, params={"state": "probing"}).json() == {
        "items": [],
        "next_cursor": None,
        "total": 0,
    }


def test_a_failed_asset_says_why_and_offers_nothing(client: httpx.Client) -> None:
    failed = client.get(ASSETS, params={"state": "failed"}).json()["items"][0]
    assert failed["error"]["code"] == "truncated_media"
    assert failed["error"]["detail"]
    assert {name for name, value in failed["playback"].items() if value} == {"watch"}


def test_an_asset_has_the_documented_fields(assets: list[dict[str, Any]]) -> None:
    asset = assets[0]
    assert asset["state"] == "ready"
    assert asset["progress"] == 1.0
    assert (asset["width"], asset["height"], asset["duration"]) == (320, 180, 1.0)
    assert (asset["filename"], asset["media_type"]) == ("Alpine meadow.mp4", "video/mp4")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", asset["created_at"])
    assert asset["playback"]["original"]["url"] == f"/media/{asset['id']}/original.mp4"
    assert asset["facts"]["video"]["codec"] == "h264"
    (rendition,) = asset["renditions"]
    assert (rendition["name"], rendition["kind"], rendition["state"]) == ("source", "video", "ready")
    assert rendition["packaged"]
    assert (rendition["segments"], rendition["made_segments"]) == (1, 1)
    assert (rendition["frame_rate"], rendition["codecs"][:5]) == (25.0, "avc1.")
    playback, base = asset["playback"], f"/media/{asset['id']}"
    assert (playback["hls"], playback["dash"]) == (f"{base}/hls/master.m3u8", f"{base}/dash/manifest.mpd")
    assert (playback["mp4"], playback["subtitles"]) == (f"{base}/source.mp4", [])


def test_a_title_changes_and_stays_changed(client: httpx.Client, films: Films) -> None:
    asset = upload(client, films.film(Film(seconds=1, audio=False)))
    changed = client.patch(f"{ASSETS}/{asset['id']}", json={"title": "  New \n title \u0007 "})
    assert changed.status_code == 200
    assert changed.json()["title"] == "New title"
    assert client.get(f"{ASSETS}/{asset['id']}").json()["title"] == "New title"
    gone = client.delete(f"{ASSETS}/{asset['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (
        client.get(f"{ASSETS}/{asset['id']}"),
        client.delete(f"{ASSETS}/{asset['id']}"),
        client.patch(f"{ASSETS}/{asset['id']}", json={"title": "x"}),
        client.get(f"/media/{asset['id']}/original.mp4"),
        client.get(f"/media/{asset['id']}/hls/master.m3u8"),
        client.get(f"/watch/{asset['id']}/asset.json"),
    ):
        assert_problem(answer, 404, "not_found")


def test_what_happened_to_a_film_is_told_and_what_failed_is_tried_again(
    client: httpx.Client, assets: list[dict[str, Any]]
) -> None:
    [failed] = client.get(ASSETS, params={"state": "failed"}).json()["items"]
    address = f"{ASSETS}/{failed['id']}"

    def told() -> list[dict[str, Any]]:
        answer = client.get(f"{address}/history")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    error = failed["error"]
    uploaded = {"at": failed["created_at"], "event": "uploaded", "code": None, "detail": failed["filename"]}
    gave_up = {
        "at": failed["updated_at"],
        "event": "failed",
        "code": error["code"],
        "detail": error["detail"],
    }
    assert told() == [uploaded, gave_up]
    assert client.head(f"{address}/history").status_code == 200

    answer = client.post(f"{address}/retry")
    assert answer.status_code == 202
    again = answer.json()
    assert (again["id"], again["state"], again["error"]) == (failed["id"], "probing", None)
    assert await_state(client, failed["id"], "failed")["error"] == error
    assert [entry["event"] for entry in told()] == ["uploaded", "failed", "retried", "failed"]

    ready = f"{ASSETS}/{assets[0]['id']}"
    name = assets[0]["renditions"][0]["name"]
    assert_problem(client.post(f"{ready}/retry"), 409, "nothing_to_retry")
    assert_problem(client.post(f"{ready}/retry", params={"rendition": name}), 409, "nothing_to_retry")
    assert_problem(client.post(f"{ready}/retry", params={"rendition": "8K"}), 404, "not_found")
    assert_problem(client.post(f"{ASSETS}/absent/retry"), 404, "not_found")
    assert_problem(client.get(f"{ASSETS}/absent/history"), 404, "not_found")


# --- errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "many"},
        {"cursor": "made up"},
        {"cursor": "x" * 300},
        {"state": "sleeping"},
        {"q": "x" * 201},
    ],
)
def test_parameters_that_do_not_fit_are_refused(client: httpx.Client, params: dict[str, str]) -> None:
    problem = assert_problem(client.get(ASSETS, params=params), 400, "invalid_request")
    assert problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        b'{"title":""}',
        b'{"title":7}',
        b'{"title":" "}',
        b'{"title":"x","id":"y"}',
        b'{"title":"%s"}' % (b"x" * 201),
    ],
)
def test_changes_that_do_not_fit_are_refused(
    client: httpx.Client, assets: list[dict[str, Any]], body: bytes
) -> None:
    answer = client.patch(
        f"{ASSETS}/{assets[0]['id']}", content=body, headers={"Content-Type": "application/json"}
    )
    assert_problem(answer, 400, "invalid_request")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api/v1/nothing",
        "/api/v1/assets/unknown",
        "/api/v1/assets/%00",
        "/api/v1/assets/%F0%9F",
        "/media/unknown/original.mp4",
        "/media/{id}/original.webm",
        "/media/{id}/original",
        "/media/{id}/4320p.mp4",
        "/media/{id}/..%2f..%2fcatalog.sqlite3",
        "/media/{id}/hls/4320p/index.m3u8",
        "/media/{id}/hls/180p/99.m4s",
        "/media/{id}/hls/180p/-1.m4s",
        "/media/{id}/hls/180p/\u0663.m4s",
        "/media/{id}/hls/180p/0.ts",
        "/ui/app.py",
        "/ui/%2e%2e/app.py",
        "/ui/__init__.py",
        "/watch/unknown/asset.json",
    ],
)
def test_what_is_not_there_is_404(client: httpx.Client, assets: list[dict[str, Any]], path: str) -> None:
    assert_problem(client.get(path.format(id=assets[0]["id"])), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", ASSETS, {"GET", "POST", "PUT"}),
        ("POST", f"{ASSETS}/x", {"GET", "PATCH", "DELETE"}),
        ("PATCH", "/api/v1/events", {"GET"}),
        ("GET", UPLOADS, {"POST"}),
        ("PUT", f"{UPLOADS}/x", {"GET", "PATCH", "DELETE", "POST"}),
        ("POST", f"{UPLOADS}/x", {"GET", "PATCH", "DELETE", "POST"}),  # X-HTTP-Method-Override is missing
        ("POST", "/media/x/original.mp4", {"GET", "HEAD", "OPTIONS"}),
        ("PUT", "/media/x/hls/master.m3u8", {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/livez", {"GET"}),
        ("POST", "/admin", {"GET"}),
    ],
)
def test_a_method_that_is_not_there_is_405_and_says_which_are(
    client: httpx.Client, method: str, path: str, allowed: set[str]
) -> None:
    answer = client.request(method, path)
    assert_problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) | {"OPTIONS", "HEAD"} == allowed | {"OPTIONS", "HEAD"}


@pytest.mark.parametrize("override", ["PUT", "POST", "OPTIONS", "X"])
def test_a_method_by_another_name_is_refused_like_that_method(client: httpx.Client, override: str) -> None:
    """tus: clients that can send nothing but GET and POST say the method in X-HTTP-Method-Override."""
    headers = {"Tus-Resumable": "1.0.0", "X-HTTP-Method-Override": override}
    answer = client.post(f"{UPLOADS}/x", headers=headers)
    assert_problem(answer, 405, "method_not_allowed")
    assert "PATCH" in answer.headers["allow"]
    assert answer.headers["tus-resumable"] == "1.0.0"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (UPLOADS, {"POST"}),
        (f"{UPLOADS}/", {"POST"}),
        (f"{UPLOADS}/x", {"GET", "HEAD", "PATCH", "DELETE", "POST"}),
    ],
)
def test_everybody_may_ask_what_is_possible_with_uploads(
    stranger: httpx.Client, path: str, allowed: set[str]
) -> None:
    answer = stranger.options(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert set(answer.headers["allow"].split(", ")) == allowed | {"OPTIONS"}
    assert {"tus-version", "tus-extension", "tus-max-size", "upload-limit"} <= set(answer.headers)


# --- caching --------------------------------------------------------------------------------------------------


def test_only_what_never_changes_is_kept_by_caches(
    client: httpx.Client, assets: list[dict[str, Any]]
) -> None:
    asset = assets[0]
    hls = f"/media/{asset['id']}/hls/source"
    text = client.get(f"{hls}/index.m3u8").text
    segment = next(line for line in text.splitlines() if ".m4s" in line)
    init = re.search(r'URI="([^"]+)"', text)
    assert init
    playback = asset["playback"]
    forever = [playback["original"]["url"], playback["mp4"], playback["poster"]]
    forever += [f"{hls}/{segment}", f"{hls}/{init[1]}"]
    for path in forever:
        answer = client.get(path).raise_for_status()
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable", path
    # What may change is asked for again, which costs an answer without a body.
    for path in (playback["hls"], playback["dash"], f"{hls}/index.m3u8", f"{hls}/iframes.m3u8"):
        answer = client.get(path).raise_for_status()
        assert answer.headers["cache-control"] == "no-cache", path
        again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), path
    # Segments asked for without the version from the playlist may be another's tomorrow.
    never = [
        f"{hls}/0.m4s",
        f"{hls}/0.m4s?v=another",
        f"{hls}/init.mp4",
    ]
    never += [ASSETS, f"{ASSETS}/{asset['id']}", f"/watch/{asset['id']}/asset.json", "/livez", "/readyz"]
    for path in never:
        assert client.get(path).raise_for_status().headers["cache-control"] == "no-store", path


def test_media_types_are_what_players_expect(client: httpx.Client, assets: list[dict[str, Any]]) -> None:
    asset = assets[0]
    expected = {
        asset["playback"]["original"]["url"]: "video/mp4",
        asset["playback"]["mp4"]: "video/mp4",
        asset["playback"]["poster"]: "image/jpeg",
        asset["playback"]["hls"]: "application/vnd.apple.mpegurl",
        asset["playback"]["dash"]: "application/dash+xml",
        f"/media/{asset['id']}/hls/source/index.m3u8": "application/vnd.apple.mpegurl",
        f"/media/{asset['id']}/hls/source/0.m4s": "video/mp4",
        f"{ASSETS}/{asset['id']}": "application/json",
    }
    assert {path: client.get(path).headers["content-type"] for path in expected} == expected


# --- other origins, pages, probes -----------------------------------------------------------------------------


def test_scripts_on_other_origins_may_play(stranger: httpx.Client, assets: list[dict[str, Any]]) -> None:
    origin = {"Origin": "https://player.example"}
    playback, media = assets[0]["playback"], f"/media/{assets[0]['id']}"
    paths = [playback["original"]["url"], playback["hls"], playback["dash"], playback["mp4"]]
    paths += [f"{media}/hls/source/{name}" for name in ("index.m3u8", "iframes.m3u8", "init.mp4", "0.m4s")]
    for path in paths:
        asking = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range,if-range"}
        preflight = stranger.options(path, headers=origin | asking)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "*"
        allowed = preflight.headers["access-control-allow-headers"].lower()
        assert {"range", "if-range"} <= set(allowed.split(", "))
        assert {"GET", "HEAD"} <= set(preflight.headers["access-control-allow-methods"].split(", "))
        answer = stranger.get(path, headers=origin | {"Range": "bytes=0-9"})
        assert answer.status_code == 206
        for name, value in CORS:
            assert answer.headers[name.decode()] == value.decode()
        exposed = set(answer.headers["access-control-expose-headers"].split(", "))
        assert exposed >= {"Content-Range", "Accept-Ranges", "Content-Length", "ETag"}


def test_a_preflight_is_answered_for_subtitles_too(stranger: httpx.Client) -> None:
    asking = {"Origin": "https://player.example", "Access-Control-Request-Method": "GET"}
    answer = stranger.options("/media/any/subtitles/0.vtt", headers=asking)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, "*")


def test_scripts_on_other_origins_see_what_went_wrong(stranger: httpx.Client) -> None:
    for method in ("GET", "POST"):
        answer = stranger.request(
            method, "/media/unknown/original.mp4", headers={"Origin": "https://player.example"}
        )
        assert answer.status_code in {404, 405}
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "Retry-After" in answer.headers["access-control-expose-headers"]


def test_the_api_is_for_no_other_origin(client: httpx.Client) -> None:
    origin = {"Origin": "https://elsewhere.example"}
    for answer in (client.get(ASSETS, headers=origin), client.options(ASSETS, headers=origin)):
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", PAGES)
def test_pages_allow_nothing_from_elsewhere(stranger: httpx.Client, path: str) -> None:
    answer = stranger.get(path).raise_for_status()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "unsafe-inline" not in answer.headers["content-security-policy"]
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    check_own_origin(stranger, answer.text)


@pytest.mark.parametrize("path", ["/schema", "/schema/"])
def test_the_schema_page_loads_nothing_from_elsewhere(stranger: httpx.Client, path: str) -> None:
    check_own_origin(stranger, stranger.get(path).raise_for_status().text)


def check_own_origin(client: httpx.Client, html: str) -> None:
    """Whatever the page loads is here, and answers."""
    loaded = re.findall(r"""(?:src|href)=["']([^"']+)["']""", html)
    loaded += re.findall(r"""url\(["']?([^"')]+)""", html)
    assert loaded
    for address in loaded:
        if not address.startswith(("#", "data:")):
            assert re.match(r"/(?!/)", address), f"{address} is not of our own origin"
            assert client.get(address).status_code == 200, address
    assert "cdn" not in html.lower()


def test_probes_answer_everybody(stranger: httpx.Client) -> None:
    assert stranger.get("/livez").json() == {"status": "alive"}
    ready = stranger.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"
    assert ready.json()["fence"].keys() == {"made_of", "gaps"}


def test_every_route_of_the_api_wants_a_key_and_no_other_does(stranger: httpx.Client) -> None:
    schema = stranger.get("/schema/openapi.json").raise_for_status().json()
    asked = 0
    for path, operations in schema["paths"].items():
        for method in operations.keys() & {"get", "put", "post", "patch", "delete", "head"}:
            answer = stranger.request(method, re.sub(r"\{[^}]+\}", "unknown", path))
            if path.startswith("/api/"):
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"].startswith("Bearer")
                if method != "head":  # which has no body
                    assert_problem(answer, 401, "unauthorized")
            elif path.startswith("/t/"):
                assert answer.status_code == 403, (method, path)  # for want of a token
            else:
                assert answer.status_code in {200, 404}, (method, path)
            asked += 1
    assert asked >= 15
    known = {ASSETS, f"{ASSETS}/{{asset_id}}", "/api/v1/events", UPLOADS, f"{UPLOADS}/{{upload_id}}"}
    assert known <= schema["paths"].keys()
    # For clients that can send no other method; the schema has the methods themselves.
    assert_problem(stranger.post(f"{UPLOADS}/unknown"), 401, "unauthorized")


@pytest.mark.parametrize("given", ["", "Bearer", "Basic {}", "bearer x{}", "Bearer {}x", "{}"])
def test_a_key_that_is_not_quite_it_opens_nothing(
    library: Server, stranger: httpx.Client, given: str
) -> None:
    headers = {"Authorization": given.format(library.token)}
    assert_problem(stranger.get(ASSETS, headers=headers), 401, "unauthorized")


def test_the_scheme_of_the_key_may_be_written_in_any_case(library: Server, stranger: httpx.Client) -> None:
    assert stranger.get(ASSETS, headers={"Authorization": f"bEARER {library.token}"}).status_code == 200
