"""The page at /schema. Litestar's own carries scripts and styles in its text, which no policy worth having allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

PAGE = Path(__file__).resolve().parent.parent / "ui" / "schema.html"


class SchemaPage(OpenAPIRenderPlugin):
    """Serves a file of ours; its script asks for the schema like any other client."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page, whatever the schema is."""
        return PAGE.read_bytes()
