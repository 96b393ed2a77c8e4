"""What a token opens, and for whom the gate makes one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from media_service.errors import OutsideWindow, PlaybackDenied, TokenExpired, TokenInvalid
from media_service.playback import gate as gate_module
from media_service.playback.access import Access
from media_service.playback.caching import IMMUTABLE, NO_STORE, REVALIDATE
from media_service.playback.gate import OWN_SECONDS, ROUNDED_SECONDS, Gate
from media_service.store.records import Asset, Visibility
from media_service.wire.signatures import PlaybackToken, sign, verify
from tests.timeline.outlines import film
from tests.wire.tokens import ASSET, KEYS, NOW, TOKEN

FILM = film(40)


def opened(**said: object) -> Access:
    return Access("signed", PlaybackToken(**{"asset_id": ASSET, "key_id": "k1", "expires_at": NOW, **said}))  # type: ignore[arg-type] # what is said is each field's own


@pytest.mark.parametrize(
    ("default", "visibility", "admitted"),
    [
        ("public", None, True),
        ("public", "public", True),
        ("public", "signed", False),
        ("signed", None, False),
        ("signed", "public", True),
        ("signed", "signed", False),
    ],
)
def test_without_a_token_the_assets_visibility_decides_and_else_the_setting(
    default: Visibility, visibility: Visibility | None, admitted: bool
) -> None:
    Access(default, TOKEN).admit(visibility)
    if admitted:
        Access(default).admit(visibility)
    else:
        with pytest.raises(PlaybackDenied):
            Access(default).admit(visibility)


def test_what_playlists_list_before_the_end_of_a_window_is_given_from_its_begin_on() -> None:
    for begin in range(0, 40_000, 1_333):
        for end in (begin + 1, begin + 4_000, begin + 20_000):
            access = opened(window=(begin, end))
            length = access.length(FILM)
            for one in FILM.renditions:
                listed = range(length.rendition(one.name).count)
                given = [number for number in range(one.count) if gives(access, one.name, number)]
                assert set(given) <= set(listed)
                assert given == list(listed)[given[0] :]
                assert one.seconds(given[0]) * 1000 <= begin < one.seconds(given[0] + 1) * 1000


def gives(access: Access, name: str, number: int) -> bool:
    try:
        access.segment(FILM, FILM.rendition(name), number)
    except OutsideWindow:
        return False
    return True


def test_views_that_differ_have_different_names() -> None:
    views = [
        Access("public"),
        opened(max_height=1),
        opened(max_height=2),
        opened(window=(0, 1)),
        opened(window=(0, 2)),
    ]
    assert len({access.view for access in views}) == len(views)
    assert Access("public").view == Access("signed", TOKEN).view


@pytest.mark.parametrize(("left", "seconds"), [(100, 100), (10**9, 31_536_000), (0, 0), (-5, 0)])
def test_what_may_be_kept_is_kept_until_the_token_expires(left: int, seconds: int) -> None:
    headers = opened().headers(IMMUTABLE, NOW - left + 0.9)
    assert headers == (("Cache-Control", f"public, max-age={seconds}, immutable"),)
    assert Access("public").headers(IMMUTABLE, NOW) == IMMUTABLE
    for other in (NO_STORE, REVALIDATE):
        assert opened().headers(other, NOW) == other


# --- the gate ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def asset() -> Asset:
    return Asset(
        id=ASSET,
        title="",
        filename="film.mp4",
        extension="mp4",
        media_type="video/mp4",
        size=1,
        sha256="",
        state="ready",
        created_at=0,
        updated_at=0,
    )


def test_the_first_key_signs_and_all_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "time", lambda: float(NOW))
    gate = Gate(KEYS, "signed")
    text, access = gate.token(ASSET, NOW + 1, max_height=720)
    assert access.token == verify(text, {"k1": KEYS["k1"]}, now=NOW, asset_id=ASSET)
    assert gate.access(text, ASSET) == access
    other = PlaybackToken(asset_id=ASSET, expires_at=NOW + 1, key_id="k2")
    assert gate.access(sign(other, KEYS["k2"]), ASSET).token == other
    with pytest.raises(TokenInvalid):
        gate.access(text, "other")
    monkeypatch.setattr(gate_module, "time", lambda: NOW + 1.0)
    with pytest.raises(TokenExpired):
        gate.access(text, ASSET)
    assert gate.access(None, ASSET) == Access("signed")


def test_addresses_for_holders_of_keys_stay_the_same_for_an_hour(
    asset: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(KEYS, "signed")
    found = set()
    for second in range(0, 2 * ROUNDED_SECONDS, 60):
        now = NOW + second
        monkeypatch.setattr(gate_module, "time", lambda now=now: float(now))
        prefix = gate.prefix(asset)
        token = gate.access(prefix.removeprefix("/t/"), ASSET).token
        assert token is not None
        assert OWN_SECONDS <= token.expires_at - now < OWN_SECONDS + ROUNDED_SECONDS
        found.add(prefix)
    assert len(found) == 3  # the first and the last hour are parts of one


def test_what_everybody_may_play_needs_no_token_in_its_address(asset: Asset) -> None:
    public, signed = Gate(KEYS, "public"), Gate(KEYS, "signed")
    assert (public.prefix(asset), signed.prefix(replace(asset, visibility="public"))) == ("", "")
    assert public.prefix(replace(asset, visibility="signed")).startswith("/t/A")
