"""Which picture a client would rather have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.wire.accept import MOST_CHARACTERS, preferred

JPEG, WEBP, AVIF = "image/jpeg", "image/webp", "image/avif"


@pytest.mark.parametrize(
    ("accept", "best"),
    [
        pytest.param([], JPEG, id="nothing said"),
        pytest.param(["*/*"], JPEG, id="curl"),
        pytest.param(["image/*,*/*;q=0.8"], JPEG, id="a browser of long ago"),
        pytest.param(
            ["image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"], AVIF, id="Chromium"
        ),
        pytest.param(["image/webp,image/png,image/*;q=0.8,*/*;q=0.5"], WEBP, id="without AVIF"),
        pytest.param(["image/avif;q=0.5, image/webp;q=0.9"], WEBP, id="rather WebP"),
        pytest.param(["image/webp;q=0.5, image/jpeg"], JPEG, id="rather JPEG"),
        pytest.param(["image/webp;q=0.5, image/*;q=0.9"], JPEG, id="rather any other"),
        pytest.param(["image/webp;q=0, */*"], JPEG, id="no WebP, please"),
        pytest.param(["image/webp;q=0"], JPEG, id="nothing acceptable"),
        pytest.param(["text/html"], JPEG, id="a page"),
        pytest.param(["IMAGE/WEBP;Q=1.000"], WEBP, id="in capitals"),
        pytest.param(["text/html", "image/webp"], WEBP, id="in two lines"),
        pytest.param(["image/webp;q=2"], JPEG, id="no weight"),
        pytest.param(["image/webp;foo=bar;q=0.7"], WEBP, id="another parameter"),
        pytest.param([",,;q,/,image/avif"], AVIF, id="rubbish beside it"),
    ],
)
def test_the_picture_is_what_the_client_asks_for(accept: list[str], best: str) -> None:
    assert preferred(accept, (AVIF, WEBP), JPEG) == best


@given(st.lists(st.text(alphabet="imageavfwbpjq/*;,=.019 \t\x00é", max_size=60), max_size=3))
def test_whatever_is_said_there_is_an_answer(accept: list[str]) -> None:
    assert preferred(accept, (AVIF, WEBP), JPEG) in {AVIF, WEBP, JPEG}


def test_what_nobody_needs_is_not_read() -> None:
    assert preferred(["a/b," * MOST_CHARACTERS, "image/webp"], (WEBP,), JPEG) == JPEG
