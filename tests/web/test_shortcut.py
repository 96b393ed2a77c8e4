"""The short way answers as Litestar does, byte for byte, and only what it may."""

from __future__ import annotations

import pytest
from litestar import Litestar

from media_service.playback import opened as opened_module
from media_service.web.shortcut import Shortcut, asset_of
from tests.support.asking import ORIGIN, Made, ask, opened_app, questions


@pytest.mark.parametrize("origins", ["*", ORIGIN, ""])
async def test_both_ways_give_the_same_answer(
    made: Made, monkeypatch: pytest.MonkeyPatch, origins: str
) -> None:
    async with opened_app(made, cors_origins=origins) as app:
        # The ages of tokens are in the headers.
        for module in ("media_service.playback.opened", "media_service.web.serving"):
            monkeypatch.setattr(f"{module}.time", lambda: 1_000_000_000.0)
        short = Shortcut(app)
        token, _ = app.state.gate.token(made.asset_id, 4_000_000_000)
        addresses = made.addresses if origins == "*" else made.addresses[:4]
        for address in (way + address for way in ("", f"/t/{token}") for address in addresses):
            await check(app, short, address)


async def check(app: Litestar, short: Shortcut, address: str) -> None:
    whole = await ask(app, address)
    assert whole.status == 200, (address, whole)
    assert await ask(short, address) == whole
    for method, headers in questions(whole):
        hits = short.hits
        answer = await ask(short, address, *headers, method=method)
        assert short.hits == hits + 1, address
        asked = (address, method, headers)
        assert answer == await ask(app, address, *headers, method=method), asked
        assert answer == await ask(short, address, *headers, method=method, own=True), asked


async def test_what_is_chosen_by_more_than_the_address_is_not_kept(made: Made) -> None:
    async with opened_app(made) as app:
        short = Shortcut(app)
        address = f"/media/{made.asset_id}/frame.jpg?t=1&width=64"
        first = await ask(short, address, (b"accept", b"image/webp"))
        second = await ask(short, address, (b"accept", b"image/jpeg"))
        assert (first.header(b"content-type"), second.header(b"content-type")) == (
            b"image/webp",
            b"image/jpeg",
        )
        assert short.hits == 0


async def test_errors_and_other_methods_are_the_frameworks(made: Made) -> None:
    async with opened_app(made) as app:
        short = Shortcut(app)
        original = f"/media/{made.asset_id}/download"
        for path in (
            "/media/unknown/original.mp4",
            f"/media/{made.asset_id}/nothing",
            "/media/",
            "/t/x",
            "/livez",
        ):
            for _ in range(2):
                assert await ask(short, path) == await ask(app, path)
        assert (await ask(short, original)).status == 200
        for method in ("POST", "DELETE", "OPTIONS"):
            assert await ask(short, original, method=method) == await ask(app, original, method=method)
        assert (await ask(short, original.replace("/download", "//download"))).status == 404
        assert short.hits == 0
        assert (await ask(short, original)).status == 200
        assert short.hits == 1


async def test_what_changes_counts_at_once(made: Made) -> None:
    async with opened_app(made) as app:
        short = Shortcut(app)
        address = f"/media/{made.asset_id}/original.mp4"
        statuses = []
        for visibility in ("public", "signed", "public"):
            await app.state.catalog.update_asset(made.asset_id, visibility=visibility)
            statuses += [(await ask(short, address)).status for _ in range(2)]
        assert statuses == [200, 200, 403, 403, 200, 200]
        assert short.hits == 2


async def test_a_blob_that_is_missing_is_told_by_the_framework(made: Made) -> None:
    async with opened_app(made) as app:
        short = Shortcut(app)
        address = f"/media/{made.asset_id}/preview.webp"
        assert (await ask(short, address)).status == 200
        assert (await ask(short, address)).status == 200
        blob = next((made.data_dir / "blobs" / made.asset_id).glob("animation*"))
        hidden = blob.with_name(".hidden")
        await app.state.opened.blobs.close()  # as after a while without a viewer
        blob.rename(hidden)
        try:
            gone = await ask(short, address)
            assert gone == await ask(app, address)
            assert gone.status == 404
        finally:
            hidden.rename(blob)
        assert (await ask(short, address)).status == 200


async def test_a_token_that_expires_is_told_by_the_framework(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_app(made) as app:
        short = Shortcut(app)
        expires = 4_000_000_000
        token, _ = app.state.gate.token(made.asset_id, expires)
        address = f"/t/{token}/media/{made.asset_id}/original.mp4"
        assert [(await ask(short, address)).status for _ in range(2)] == [200, 200]
        assert short.hits == 1
        monkeypatch.setattr(opened_module, "time", lambda: float(expires))
        monkeypatch.setattr("media_service.playback.gate.time", lambda: float(expires))
        late = await ask(short, address)
        assert late == await ask(app, address)
        assert late.status == 410
        assert short.hits == 1


@pytest.mark.parametrize(
    ("path", "asset_id"),
    [
        ("/media/a/original.mp4", "a"),
        ("/media/a/hls/720p/0.m4s", "a"),
        ("/t/token/media/a/hls/720p/0.m4s", "a"),
        ("/t/token/embed/a", None),
        ("/media", None),
        ("/media/", ""),
        ("/api/v1/assets/a", None),
    ],
)
def test_an_address_names_its_asset(path: str, asset_id: str | None) -> None:
    assert asset_of(path) == asset_id
