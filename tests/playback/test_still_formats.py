"""Which kind of picture a client is sent: one that it likes, and that the installed ffmpeg can write."""

from __future__ import annotations

import pytest

from media_service.playback import still_formats
from media_service.playback.still_formats import best_format

CHROMIUM = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


@pytest.mark.parametrize(
    ("there", "kind"),
    [
        ({"mjpeg", "libwebp", "libaom-av1"}, "avif"),
        ({"mjpeg", "libwebp"}, "webp"),
        ({"mjpeg"}, "jpeg"),
    ],
)
async def test_only_what_can_be_written_is_offered(
    there: set[str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def encoders() -> frozenset[str]:
        return frozenset(there)

    monkeypatch.setattr(still_formats, "encoders", encoders)
    assert await best_format([CHROMIUM]) == kind
    assert await best_format(["image/jpeg"]) == "jpeg"


async def test_the_installed_ffmpeg_is_asked() -> None:
    assert await best_format([CHROMIUM]) == "avif"
    assert await best_format([]) == "jpeg"
