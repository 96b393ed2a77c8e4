"""Who may play what is uploaded, when its uploader says so: the same rules for every way of uploading."""

from __future__ import annotations

from typing import Any

from litestar import Request

from media_service.errors import Forbidden, InvalidRequest
from media_service.store.records import Visibility
from media_service.web.guards import caller


def wished_visibility(request: Request[Any, Any, Any], text: str | None) -> Visibility | None:
    """What `text` says; None: as the settings say.

    Raises InvalidRequest, and Forbidden for keys that may not open films to everybody.
    """
    if text is None:
        return None
    if text == "signed":
        return "signed"
    if text != "public":
        raise InvalidRequest("visibility: public or signed is wanted.")
    if "manage" not in caller(request).scopes:
        raise Forbidden("A key with the scope 'manage' is needed to make a film public.")
    return "public"
