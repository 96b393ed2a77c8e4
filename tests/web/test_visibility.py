"""Who may play what is uploaded, as its uploader says, and who may say what."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Request

from media_service.errors import Forbidden, InvalidRequest
from media_service.store.records import Scope, Visibility
from media_service.web.keyring import Caller
from media_service.web.visibility import wished_visibility


def request(*scopes: Scope) -> Request[Any, Any, Any]:
    """One that a guard has let in, with a key that has these scopes."""
    scope: Any = {"type": "http", "user": Caller(name="camera", key_id="k1", scopes=frozenset(scopes))}
    return Request(scope)


@pytest.mark.parametrize("text", ["signed", None])
def test_every_uploader_may_sign_a_film_or_leave_it_to_the_settings(text: Visibility | None) -> None:
    assert wished_visibility(request("upload"), text) == text


def test_only_who_may_manage_opens_a_film_to_everybody() -> None:
    assert wished_visibility(request("upload", "manage"), "public") == "public"
    with pytest.raises(Forbidden):
        wished_visibility(request("upload", "read"), "public")


@pytest.mark.parametrize("text", ["", "Public", "secret", "signed\n", "null"])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        wished_visibility(request("upload", "manage"), text)
