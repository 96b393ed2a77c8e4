"""The panel's sign-in over HTTP: the cookie, what it opens, and requests that others forge with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from media_service.web.attempts import PER_CLIENT
from tests.support.assets import assert_problem
from tests.support.nginx import Nginx
from tests.support.server import Server, running_server

SESSION = "/admin/session"
ASSETS = "/api/v1/assets"
KEYS = "/api/v1/keys"
SAME = {"Sec-Fetch-Site": "same-origin"}
HTTPS = {"X-Forwarded-Proto": "https"}


@pytest.fixture
def browser(server: Server) -> Iterator[httpx.Client]:
    """Keeps cookies, as browsers do, and has no key."""
    with server.client(authorized=False) as client:
        yield client


def sign_in(browser: httpx.Client, server: Server, **headers: str) -> dict[str, str]:
    """Sign in; the header that changes need."""
    answer = browser.post(SESSION, json={"token": server.token}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["name"] == "admin"
    return {"X-CSRF-Token": answer.json()["csrf_token"]}


def cookie_of(answer: httpx.Response) -> tuple[str, str, set[str]]:
    """Name, value and attributes of the one cookie that the answer sets."""
    [line] = answer.headers.get_list("set-cookie")
    pair, *attributes = line.split("; ")
    name, _, value = pair.partition("=")
    return name, value.strip('"'), {attribute.lower() for attribute in attributes}


def test_signing_in_gives_a_cookie_that_opens_what_the_token_opens(
    browser: httpx.Client, server: Server
) -> None:
    assert browser.get(SESSION).json() == {"name": None, "csrf_token": None, "expires_at": None}
    proof = sign_in(browser, server)
    told = browser.get(SESSION)
    assert told.json()["csrf_token"] == proof["X-CSRF-Token"]
    assert "set-cookie" not in told.headers
    assert browser.get(ASSETS).status_code == 200
    made = browser.post(KEYS, json={"name": "by cookie", "scopes": ["read"]}, headers=proof | SAME)
    assert made.status_code == 201, made.text
    assert browser.delete(f"{KEYS}/{made.json()['id']}", headers=proof).status_code == 204
    left = browser.delete(SESSION, headers=proof)
    assert left.status_code == 204
    assert cookie_of(left)[1] == ""
    assert "max-age=0" in cookie_of(left)[2]
    assert_problem(browser.get(ASSETS), 401, "unauthorized")
    assert browser.get(SESSION).json()["name"] is None


def test_over_http_the_cookie_is_for_this_site_alone_and_no_script_reads_it(
    browser: httpx.Client, server: Server
) -> None:
    name, value, attributes = cookie_of(browser.post(SESSION, json={"token": server.token}))
    assert name == "media_service_session"
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", value)
    assert attributes == {"httponly", "samesite=strict", "path=/", "max-age=43200"}


def test_behind_https_it_is_for_https_and_this_host_alone(browser: httpx.Client, server: Server) -> None:
    answer = browser.post(SESSION, json={"token": server.token}, headers=HTTPS)
    name, value, attributes = cookie_of(answer)
    assert name == "__Host-media_service_session"
    assert attributes == {"httponly", "samesite=strict", "path=/", "max-age=43200", "secure"}
    browser.cookies.clear()  # httpx keeps Secure cookies from http
    by_hand = {"Cookie": f"{name}={value}"}
    assert browser.get(ASSETS, headers=by_hand | HTTPS).status_code == 200
    # What somebody on the way could set over http counts for nothing over https, and the other way round.
    assert browser.get(ASSETS, headers=by_hand).status_code == 401
    plain = {"Cookie": f"media_service_session={value}"}
    assert browser.get(ASSETS, headers=plain | HTTPS).status_code == 401


def test_only_trusted_proxies_say_what_is_https(tmp_path: Path) -> None:
    with (
        running_server(tmp_path, trusted_proxies="192.0.2.1") as server,
        server.client(authorized=False) as browser,
    ):
        answer = browser.post(SESSION, json={"token": server.token}, headers=HTTPS)
        assert cookie_of(answer)[0] == "media_service_session"


def test_each_sign_in_has_a_cookie_of_its_own_and_ends_the_one_before(
    browser: httpx.Client, server: Server
) -> None:
    sign_in(browser, server)
    old = dict(browser.cookies)
    sign_in(browser, server)
    assert dict(browser.cookies) != old
    browser.cookies.clear()
    assert (
        browser.get(ASSETS, headers={"Cookie": f"media_service_session={old.popitem()[1]}"}).status_code
        == 401
    )


def test_a_cookie_alone_changes_nothing(browser: httpx.Client, server: Server) -> None:
    proof = sign_in(browser, server)["X-CSRF-Token"]
    forged: list[dict[str, str]] = [
        {},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": proof[:-1]},
        {"X-CSRF-Token": proof.upper()},
        {"X-CSRF-Token": proof, "Sec-Fetch-Site": "cross-site"},
        {"X-CSRF-Token": proof, "Sec-Fetch-Site": "same-site"},
        {"X-CSRF-Token": proof, "Sec-Fetch-Site": "none"},
        {"X-CSRF-Token": proof, "Origin": "http://evil.example"},
        {"X-CSRF-Token": proof, "Origin": "null"},
        {"X-CSRF-Token": proof, "Origin": "http://["},
    ]
    for headers in forged:
        for method, path in (
            ("POST", ASSETS),
            ("PUT", ASSETS),
            ("POST", "/api/v1/uploads"),
            ("PATCH", f"{ASSETS}/unknown"),
            ("DELETE", f"{ASSETS}/unknown"),
            ("POST", KEYS),
            ("DELETE", f"{KEYS}/unknown"),
            ("DELETE", SESSION),
        ):
            assert_problem(browser.request(method, path, headers=headers), 403, "csrf")
    assert browser.delete(f"{ASSETS}/unknown", headers={"X-CSRF-Token": proof}).status_code == 404
    own = {"X-CSRF-Token": proof, "Origin": server.url}
    assert browser.delete(f"{ASSETS}/unknown", headers=own).status_code == 404


def test_the_proof_of_another_session_is_none(browser: httpx.Client, server: Server) -> None:
    sign_in(browser, server)
    with server.client(authorized=False) as other:
        proof = sign_in(other, server)
    assert_problem(browser.delete(f"{ASSETS}/unknown", headers=proof), 403, "csrf")


def test_a_key_needs_no_proof_and_counts_before_the_cookie(browser: httpx.Client, server: Server) -> None:
    sign_in(browser, server)
    key = {"Authorization": f"Bearer {server.token}"}
    assert browser.delete(f"{ASSETS}/unknown", headers=key).status_code == 404
    assert_problem(browser.get(ASSETS, headers={"Authorization": "Bearer wrong"}), 401, "unauthorized")
    assert_problem(browser.get(ASSETS, headers={"Authorization": ""}), 401, "unauthorized")


def test_no_other_site_signs_somebody_in(browser: httpx.Client, server: Server) -> None:
    wish = {"token": server.token}
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
    ):
        assert_problem(browser.post(SESSION, json=wish, headers=headers), 403, "csrf")
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = browser.post(
            SESSION, content=f'{{"token": "{server.token}"}}', headers={"Content-Type": kind}
        )
        assert answer.status_code in {400, 415}
    assert not browser.cookies


@pytest.mark.parametrize(
    "wish", [{}, {"token": ""}, {"token": 1}, {"token": "x", "more": 1}, [], {"token": "x" * 1025}]
)
def test_what_is_no_token_is_refused(browser: httpx.Client, wish: object) -> None:
    assert_problem(browser.post(SESSION, json=wish), 400, "invalid_request")


@pytest.mark.parametrize(
    "given",
    [
        b"media_service_session",
        b"media_service_session=",
        b"media_service_session=\xff\xfe",
        b"media_service_session=a; media_service_session=b",
        b'media_service_session="\\"',
        b"media_service_session=" + b"x" * 4000,
        b";;;==;",
        b"__Host-media_service_session=x",
        b"media_service_session=' OR '1'='1",
    ],
)
def test_whatever_a_cookie_holds_it_opens_nothing(browser: httpx.Client, given: bytes) -> None:
    for address, statuses in ((ASSETS, {401}), (SESSION, {200})):
        answer = browser.get(address, headers={b"Cookie": given})
        assert answer.status_code in statuses
    assert answer.json()["name"] is None


@pytest.mark.parametrize("given", [b"Bearer \xff\xfe", b"Bearer msk_", b"Bearer " + b"x" * 4000, b"\xe9"])
def test_whatever_a_key_is_made_of_it_opens_nothing(browser: httpx.Client, given: bytes) -> None:
    assert_problem(browser.get(ASSETS, headers={b"Authorization": given}), 401, "unauthorized")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"token": "\xff"}', b'{"token": "\\ud800"}', b"[" * 4000, b'{"token": "' + b"x" * 5000],
)
def test_what_is_no_json_is_refused(browser: httpx.Client, body: bytes) -> None:
    answer = browser.post(SESSION, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 413}
    assert answer.headers["content-type"] == "application/problem+json"


def test_who_guesses_is_told_to_wait(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, server.client(authorized=False) as browser:
        for number in range(PER_CLIENT):
            assert_problem(browser.post(SESSION, json={"token": f"guess {number}"}), 401, "unauthorized")
        # Also when it is right: else the limit would limit nothing.
        answer = browser.post(SESSION, json={"token": server.token})
        assert_problem(answer, 429, "too_many_attempts")
        assert 0 < int(answer.headers["retry-after"]) <= 60
        # What a client writes in front of its own address is not believed; another client has its own count.
        for before in ("", "198.51.100.1, "):
            there = {"X-Forwarded-For": f"{before}203.0.113.5"}
            assert browser.post(SESSION, json={"token": server.token}, headers=there).status_code == 200
        with server.client() as program:
            assert program.get(ASSETS).status_code == 200
    log = server.log_text()
    assert "a wrong token at the panel's sign-in, from 127.0.0.1" in log
    assert "guess" not in log


def test_a_changed_admin_token_signs_everybody_out(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, server.client(authorized=False) as browser:
        sign_in(browser, server)
        [(_, secret)] = browser.cookies.items()
    cookie = {"Cookie": f"media_service_session={secret}"}
    with running_server(tmp_path) as server, server.client(authorized=False) as browser:
        assert browser.get(ASSETS, headers=cookie).status_code == 200
    with (
        running_server(tmp_path, admin_token="another-token-0123456789") as server,
        server.client(authorized=False) as browser,
    ):
        assert browser.get(ASSETS, headers=cookie).status_code == 401


def test_through_nginx_it_is_the_same(server: Server, nginx: Nginx) -> None:
    with server.client(url=nginx.url, authorized=False) as browser:
        proof = sign_in(browser, server, Origin=nginx.url.rstrip("/"))
        assert browser.delete(f"{ASSETS}/unknown", headers=proof).status_code == 404
        answer = browser.post(SESSION, json={"token": server.token}, headers=HTTPS)
        assert cookie_of(answer)[0] == "__Host-media_service_session"
